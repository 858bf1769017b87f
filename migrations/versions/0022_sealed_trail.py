"""The audit trail: each line is sealed by a salted digest, so that its words can be erased and the chain still be checked."""

from __future__ import annotations

from alembic import op

revision = "0022"
down_revision = "0021"

COLUMNS = """
ALTER TABLE audit_log
  ADD COLUMN source text,
  ADD COLUMN salt bytea,
  ADD COLUMN digest bytea"""

# What a line says, in an order and a form that no session's settings change.
DIGEST = """
CREATE FUNCTION audit_digest(
  salt bytea, number bigint, at timestamptz, actor text, action text, target text, source text, detail jsonb
) RETURNS bytea LANGUAGE sql IMMUTABLE
RETURN sha256(salt || convert_to(jsonb_build_array(number, extract(epoch FROM at), actor, action, target, source, detail)::text, 'UTF8'))"""

# Taking the head row is what orders events by commit: whoever holds it commits before the next position is given away.
APPEND = """
CREATE OR REPLACE FUNCTION append_events(events jsonb, audits jsonb) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  tenant uuid := nullif(current_setting('app.tenant_id', true), '')::uuid;
  head tenant_heads;
  line audit_log;
  entry record;
BEGIN
  SELECT * INTO STRICT head FROM tenant_heads WHERE tenant_id = tenant FOR NO KEY UPDATE;
  IF jsonb_array_length(events) > 0 THEN
    INSERT INTO lead_events (tenant_id, position, location_id, lead_id, kind, at, detail)
      SELECT tenant, head.position + e.ordinality, (e.value->>'locationId')::uuid, (e.value->>'leadId')::uuid, e.value->>'kind',
        app_now(), nullif(e.value->'detail', 'null')
      FROM jsonb_array_elements(events) WITH ORDINALITY e;
    head.position := head.position + jsonb_array_length(events);
  END IF;
  FOR entry IN SELECT value, ordinality FROM jsonb_array_elements(audits) WITH ORDINALITY LOOP
    head.position := head.position + 1;
    line := jsonb_populate_record(NULL::audit_log, entry.value);
    line.number := head.position;
    line.at := app_now();
    line.detail := nullif(line.detail, 'null');
    line.salt := uuid_send(gen_random_uuid());
    line.digest := audit_digest(line.salt, line.number, line.at, line.actor, line.action, line.target, line.source, line.detail);
    head.audit_hash := sha256(head.audit_hash || line.digest);
    INSERT INTO audit_log (tenant_id, number, at, actor, action, target, source, detail, salt, digest, hash)
      VALUES (tenant, line.number, line.at, line.actor, line.action, line.target, line.source, line.detail, line.salt, line.digest,
        head.audit_hash);
  END LOOP;
  UPDATE tenant_heads SET position = head.position, audit_hash = head.audit_hash WHERE tenant_id = tenant;
  RETURN head.position;
END $$"""

# Lines of before are sealed as they stand, and each chain is made anew; the owner sees rows only while nothing is forced.
SEAL = """
DO $$
DECLARE
  line record;
  chain bytea := '\\x';
  whose uuid;
BEGIN
  UPDATE audit_log SET salt = uuid_send(gen_random_uuid());
  UPDATE audit_log SET digest = audit_digest(salt, number, at, actor, action, target, source, detail);
  FOR line IN SELECT tenant_id, id, digest FROM audit_log ORDER BY tenant_id, number LOOP
    IF line.tenant_id IS DISTINCT FROM whose THEN
      whose := line.tenant_id;
      chain := '\\x';
    END IF;
    chain := sha256(chain || line.digest);
    UPDATE audit_log SET hash = chain WHERE tenant_id = line.tenant_id AND id = line.id;
    UPDATE tenant_heads SET audit_hash = chain WHERE tenant_id = line.tenant_id;
  END LOOP;
END $$"""

# Words go, never come: whoever may write to these columns may empty them.
ONLY_ERASED = """
CREATE FUNCTION audit_only_erased() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF NEW.salt IS NOT NULL OR NEW.source IS NOT NULL OR NEW.detail IS NOT NULL THEN
    RAISE EXCEPTION 'a line of the audit trail is erased whole or not at all' USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$"""

# The address of whoever chose is told as well.
SET_LEAD_STATUS = """
CREATE FUNCTION set_lead_status(
  tenant uuid, target uuid, new_status text, answers boolean, books boolean, ending text, source text
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  old_status text;
  place uuid;
  change jsonb;
BEGIN
  UPDATE leads l SET
      status = new_status,
      last_activity_at = app_now(),
      answered_after = coalesce(l.answered_after, CASE WHEN answers THEN last_touch(l.touched) END),
      booked_after = coalesce(l.booked_after, CASE WHEN books THEN last_touch(l.touched) END)
    WHERE l.tenant_id = tenant AND l.id = target AND l.status <> new_status
    RETURNING old.status, l.location_id INTO old_status, place;
  IF NOT FOUND THEN
    RETURN EXISTS (SELECT FROM leads l WHERE l.tenant_id = tenant AND l.id = target);
  END IF;
  IF ending IS NOT NULL THEN
    UPDATE scheduled_messages m SET status = 'CANCELLED', decision = ending
      WHERE m.tenant_id = tenant AND m.lead_id = target AND m.kind = 'TOUCH' AND m.status = 'SCHEDULED';
  END IF;
  change := jsonb_build_object('from', old_status, 'to', new_status);
  PERFORM record_change(
    jsonb_build_object('locationId', place, 'leadId', target, 'kind', 'lead.status', 'detail', change),
    jsonb_build_object('actor', current_setting('app.subject'), 'action', 'lead.set_status', 'target', 'lead_' || target,
      'source', source, 'detail', change));
  RETURN true;
END $$"""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute(COLUMNS)
    op.execute(DIGEST)
    for table in ("audit_log", "tenant_heads"):
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
    op.execute(SEAL)
    for table in ("audit_log", "tenant_heads"):
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE audit_log ALTER COLUMN digest SET NOT NULL")
    op.execute(APPEND)
    op.execute(ONLY_ERASED)
    op.execute("REVOKE ALL ON FUNCTION audit_only_erased() FROM PUBLIC")
    op.execute(
        "CREATE TRIGGER only_erased BEFORE UPDATE ON audit_log FOR EACH ROW EXECUTE FUNCTION audit_only_erased()"
    )
    op.execute("GRANT UPDATE (source, salt, detail) ON audit_log TO lead_app")
    op.execute("DROP FUNCTION set_lead_status(uuid, uuid, text, boolean, boolean, text)")
    op.execute(SET_LEAD_STATUS)
    for signature in (
        "set_lead_status(uuid, uuid, text, boolean, boolean, text, text)",
        "audit_digest(bytea, bigint, timestamptz, text, text, text, text, jsonb)",
    ):
        op.execute(f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {signature} TO lead_app")
    op.execute(
        "GRANT EXECUTE ON FUNCTION audit_digest(bytea, bigint, timestamptz, text, text, text, text, jsonb) TO lead_platform"
    )


def downgrade() -> None:
    raise NotImplementedError("the words of erased lines are gone: restore a backup of before")
