"""The commonest change in one call: a lead's status as staff sets it, and what is recorded of it for the end of the transaction."""

from __future__ import annotations

from alembic import op

revision = "0014"
down_revision = "0013"

# What a status means is told by the caller: whether it counts as the first answer and as the first booking, and the words in
# which the touches end, null where they go on. Bit n of `touched` is touch n.
SET_LEAD_STATUS = """
CREATE FUNCTION set_lead_status(
  tenant uuid, target uuid, new_status text, answers boolean, books boolean, ending text
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
      'detail', change));
  RETURN true;
END $$"""

LAST_TOUCH = """
CREATE FUNCTION last_touch(touched integer) RETURNS smallint LANGUAGE sql IMMUTABLE
RETURN greatest(length(ltrim(touched::bit(32)::text, '0')) - 1, 0)::smallint"""

# An event and an audit line wait in a setting that ends with the transaction, until whatever reads its outcome has done so.
RECORD = """
CREATE FUNCTION record_change(event jsonb, audit jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config(
    'app.recorded', jsonb_build_object('events', jsonb_build_array(event), 'audits', jsonb_build_array(audit))::text, true);
END $$"""

APPEND_RECORDED = """
CREATE FUNCTION append_recorded() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  recorded jsonb := nullif(current_setting('app.recorded', true), '')::jsonb;
BEGIN
  IF recorded IS NULL THEN
    RETURN NULL;
  END IF;
  PERFORM set_config('app.recorded', '', true);
  RETURN append_events(recorded->'events', recorded->'audits');
END $$"""

FUNCTIONS = {
    "last_touch(integer)": LAST_TOUCH,
    "record_change(jsonb, jsonb)": RECORD,
    "append_recorded()": APPEND_RECORDED,
    "set_lead_status(uuid, uuid, text, boolean, boolean, text)": SET_LEAD_STATUS,
}


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    for signature, definition in FUNCTIONS.items():
        op.execute(definition)
        op.execute(f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {signature} TO lead_app")


def downgrade() -> None:
    for signature in reversed(FUNCTIONS):
        op.execute(f"DROP FUNCTION {signature}")
