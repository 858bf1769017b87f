"""What lists, search and the report read: milestones of a lead, indexes, and the look-up that makes search index-backed."""

from __future__ import annotations

from alembic import op

from lead_orchestrator.tenancy.policies import TABLES, policies_of

revision = "0003"
down_revision = "0002"

# Everything a lead is found by, in lower case; a line each, so that no words match across two of them.
SEARCH = (
    "lower(coalesce(first_name, '') || ' ' || coalesce(last_name, '') || E'\\n' || coalesce(email, '')"
    " || E'\\n' || coalesce(phone, ''))"
)

# The report counts 100,000 leads in one statement: it cannot go through their messages and events, half a million each.
MILESTONES = """
ALTER TABLE leads ADD COLUMN touched integer NOT NULL DEFAULT 0, ADD COLUMN answered_after smallint, ADD COLUMN booked_after smallint
"""

# The owner sees no row of a table that is under FORCE, and these it has to read.
READ = ("leads", "lead_events", "scheduled_messages")
BACKFILL = """
WITH sent AS (
  SELECT tenant_id, lead_id, bit_or(1 << touch_number) AS touched FROM scheduled_messages
  WHERE kind = 'TOUCH' AND sent_at IS NOT NULL GROUP BY tenant_id, lead_id),
reached AS (
  SELECT tenant_id, lead_id, min(at) FILTER (WHERE detail->>'to' IN ('ENGAGED', 'HOT')) AS answered,
    min(at) FILTER (WHERE detail->>'to' IN ('BOOKED', 'WON')) AS booked
  FROM lead_events WHERE kind = 'lead.status' GROUP BY tenant_id, lead_id)
UPDATE leads l SET touched = coalesce(s.touched, 0),
  answered_after = CASE WHEN r.answered IS NOT NULL THEN (SELECT coalesce(max(m.touch_number), 0) FROM scheduled_messages m
    WHERE m.tenant_id = l.tenant_id AND m.lead_id = l.id AND m.kind = 'TOUCH' AND m.sent_at <= r.answered) END,
  booked_after = CASE WHEN r.booked IS NOT NULL THEN (SELECT coalesce(max(m.touch_number), 0) FROM scheduled_messages m
    WHERE m.tenant_id = l.tenant_id AND m.lead_id = l.id AND m.kind = 'TOUCH' AND m.sent_at <= r.booked) END
FROM leads known
LEFT JOIN sent s ON s.tenant_id = known.tenant_id AND s.lead_id = known.id
LEFT JOIN reached r ON r.tenant_id = known.tenant_id AND r.lead_id = known.id
WHERE known.tenant_id = l.tenant_id AND known.id = l.id AND (s.lead_id IS NOT NULL OR r.lead_id IS NOT NULL)
"""

INDEXES = f"""
CREATE INDEX leads_search ON leads USING gin (tenant_id, ({SEARCH}) gin_trgm_ops)
CREATE INDEX scheduled_messages_newest ON scheduled_messages (tenant_id, created_at DESC, id DESC)
CREATE INDEX scheduled_messages_sent ON scheduled_messages (tenant_id, sent_at) INCLUDE (location_id) WHERE sent_at IS NOT NULL
CREATE INDEX message_logs_inbound ON message_logs (tenant_id, at DESC, id DESC) WHERE message_id IS NULL
CREATE INDEX webhook_events_by_status ON webhook_events (tenant_id, status, received_at DESC, id DESC)
CREATE INDEX job_executions_by_job ON job_executions (tenant_id, job, started_at DESC, id DESC)
CREATE INDEX appointments_made ON appointments (tenant_id, location_id, created_at)
"""

# Text operators are not leakproof, so behind a policy they are never an index's condition. Here the owner's policy is `true`
# and the scope is repeated by hand. The caller's tenant comes as an argument too, so that a statement which sets the settings
# itself cannot ask before they are set. Planned anew each time: tenants differ in size a thousandfold.
LOOKUP = f"""
CREATE FUNCTION lookup_leads(tenant uuid, words text, digits text) RETURNS uuid[]
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET plan_cache_mode = force_custom_plan AS $$
DECLARE
  mine uuid := nullif(current_setting('app.tenant_id', true), '')::uuid;
  places text := nullif(current_setting('app.location_ids', true), '');
  every boolean := coalesce(places = '*', false);
  listed uuid[] := string_to_array(nullif(places, '*'), ',')::uuid[];
  worded text := '%' || replace(replace(replace(lower(words), '\\', '\\\\'), '%', '\\%'), '_', '\\_') || '%';
  dialled text := '%' || digits || '%';
BEGIN
  RETURN ARRAY(
    SELECT l.id FROM leads l
    WHERE l.tenant_id = mine AND mine = tenant AND (every OR l.location_id = ANY (listed))
      AND ({SEARCH} LIKE worded OR {SEARCH} LIKE dialled));
END $$
"""  # noqa: S608 - expressions of this file only


def upgrade() -> None:
    op.execute(MILESTONES)
    for table in READ:
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
    op.execute(BACKFILL)
    for table in READ:
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    for statement in INDEXES.strip().splitlines():
        op.execute(statement)
    # A database made anew has them already: revision 0001 applies the templates as they are today.
    for policy in policies_of("leads"):
        if policy.role == "lead_lookup":
            op.execute(f"DROP POLICY IF EXISTS {policy.name} ON leads")
            op.execute(policy.ddl("leads"))
    for privilege in TABLES["leads"].lookup:
        op.execute(f"GRANT {privilege} ON leads TO lead_lookup")
    op.execute("GRANT CREATE ON SCHEMA public TO lead_lookup")
    op.execute(LOOKUP)
    op.execute("REVOKE ALL ON FUNCTION lookup_leads(uuid, text, text) FROM PUBLIC")
    op.execute("GRANT EXECUTE ON FUNCTION lookup_leads(uuid, text, text) TO lead_app")
    op.execute("ALTER FUNCTION lookup_leads(uuid, text, text) OWNER TO lead_lookup")
    op.execute("REVOKE CREATE ON SCHEMA public FROM lead_lookup")


def downgrade() -> None:
    raise NotImplementedError("0003 adds indexes and a function; drop the database instead")
