"""The audit finds nothing in a migrated database, and each fault that is put into one."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from lead_orchestrator.db import Engines, database_url
from lead_orchestrator.tenancy.audit import SERVER_VERSION, Finding, audit_isolation
from lead_orchestrator.tenancy.audit.expressions import tree_of
from lead_orchestrator.tenancy.audit.rules import RULES
from lead_orchestrator.tenancy.audit.versions import open_holes
from lead_orchestrator.tenancy.policies import TABLES
from tests.database import Cluster

TENANT = "(SELECT nullif(current_setting('app.tenant_id', true), '')::uuid)"
CATALOG_WRITES = "SET LOCAL allow_system_table_mods = on"

# What is wrong, the rule that must say so, the object it must name, and the statements that do it.
FAULTS: list[tuple[str, str, str, list[str]]] = [
    ("app is superuser", "role-attribute", "lead_app", ["ALTER ROLE lead_app SUPERUSER"]),
    ("visitor bypasses", "role-attribute", "lead_visitor", ["ALTER ROLE lead_visitor BYPASSRLS"]),
    ("owner bypasses", "role-attribute", "lead_owner", ["ALTER ROLE lead_owner BYPASSRLS"]),
    ("platform makes roles", "role-attribute", "lead_platform", ["ALTER ROLE lead_platform CREATEROLE"]),
    ("app makes databases", "role-attribute", "lead_app", ["ALTER ROLE lead_app CREATEDB"]),
    ("app replicates", "role-attribute", "lead_app", ["ALTER ROLE lead_app REPLICATION"]),
    ("lookup logs in", "role-attribute", "lead_lookup", ["ALTER ROLE lead_lookup LOGIN"]),
    ("app is the owner", "role-membership", "lead_app", ["GRANT lead_owner TO lead_app"]),
    ("visitor is the app", "role-membership", "lead_visitor", ["GRANT lead_app TO lead_visitor WITH INHERIT FALSE"]),
    ("owner reads everything", "role-membership", "lead_owner", ["GRANT pg_read_all_data TO lead_owner"]),
    ("lookup is the app", "role-membership", "lead_lookup", ["GRANT lead_app TO lead_lookup"]),
    ("app owns a table", "role-ownership", "table public.leads", ["ALTER TABLE leads OWNER TO lead_app"]),
    ("lookup owns a table", "role-ownership", "table public.leads", ["ALTER TABLE leads OWNER TO lead_lookup"]),
    ("superuser owns a table", "role-ownership", "leads", ["ALTER TABLE leads OWNER TO CURRENT_USER"]),
    ("unlisted table", "unknown-table", "novelty", ["CREATE TABLE novelty (tenant_id uuid)"]),
    ("table elsewhere", "unknown-table", "s.leads", ["CREATE SCHEMA s", "CREATE TABLE s.leads (tenant_id uuid)"]),
    ("inheriting table", "unknown-table", "kid", ["CREATE TABLE kid () INHERITS (leads)"]),
    ("listed table is gone", "unknown-table", "opt_outs", ["DROP TABLE opt_outs"]),
    ("not enabled", "row-security", "leads", ["ALTER TABLE leads DISABLE ROW LEVEL SECURITY"]),
    ("not forced", "row-security", "leads", ["ALTER TABLE leads NO FORCE ROW LEVEL SECURITY"]),
    (
        "partition not forced",
        "row-security",
        "opt_outs_1",
        [
            "DROP TABLE opt_outs",
            "CREATE TABLE opt_outs (tenant_id uuid NOT NULL) PARTITION BY HASH (tenant_id)",
            "ALTER TABLE opt_outs ENABLE ROW LEVEL SECURITY",
            "ALTER TABLE opt_outs FORCE ROW LEVEL SECURITY",
            "CREATE TABLE opt_outs_1 PARTITION OF opt_outs FOR VALUES WITH (MODULUS 1, REMAINDER 0)",
        ],
    ),
    ("policy dropped", "policy", "leads", ["DROP POLICY tenant_all ON leads"]),
    ("restriction dropped", "policy", "leads", ["DROP POLICY location_all ON leads"]),
    ("policy added", "policy", "leads", ["CREATE POLICY debug ON leads FOR SELECT TO lead_app USING (true)"]),
    ("policy for everybody", "policy", "leads", ["ALTER POLICY tenant_all ON leads TO PUBLIC"]),
    ("policy for one role more", "policy", "leads", ["ALTER POLICY tenant_all ON leads TO lead_app, lead_visitor"]),
    ("USING opened", "policy", "leads", ["ALTER POLICY tenant_all ON leads USING (true)"]),
    ("CHECK opened", "policy", "leads", ["ALTER POLICY tenant_all ON leads WITH CHECK (true)"]),
    ("USING widened", "policy", "leads", [f"ALTER POLICY tenant_all ON leads USING (tenant_id = {TENANT} OR true)"]),
    (
        "another setting",
        "policy",
        "leads",
        [
            "ALTER POLICY tenant_all ON leads USING (tenant_id = (SELECT nullif(current_setting('app.x', true), '')::uuid))"
        ],
    ),
    (
        "another column",
        "policy",
        "leads",
        [f"ALTER POLICY tenant_all ON leads USING (location_id = {TENANT})"],
    ),
    (
        "shadowed function",
        "policy",
        "opt_outs",
        [
            "CREATE FUNCTION public.current_setting(text, boolean) RETURNS text LANGUAGE sql AS 'SELECT ''x'''",
            f"ALTER POLICY tenant_all ON opt_outs USING (tenant_id = {TENANT.replace('current_', 'public.current_')})",
        ],
    ),
    (
        "for another command",
        "policy",
        "leads",
        [
            "DROP POLICY tenant_all ON leads",
            f"CREATE POLICY tenant_all ON leads FOR SELECT TO lead_app USING (tenant_id = {TENANT})",
        ],
    ),
    (
        "permissive instead of restrictive",
        "policy",
        "consents",
        [
            "DROP POLICY location_all ON consents",
            f"CREATE POLICY location_all ON consents TO lead_app USING (tenant_id = {TENANT})",
        ],
    ),
    ("column granted", "grant", "leads", ["GRANT SELECT (phone) ON leads TO lead_visitor"]),
    ("table granted", "grant", "leads", ["GRANT SELECT ON leads TO lead_platform"]),
    ("grant to a stranger", "grant", "leads", ["CREATE ROLE reporter", "GRANT SELECT ON leads TO reporter"]),
    ("grant missing", "grant", "leads", ["REVOKE UPDATE ON leads FROM lead_app"]),
    ("grant on the revisions", "grant", "alembic_version", ["GRANT UPDATE ON alembic_version TO lead_app"]),
    ("truncate", "forbidden-grant", "leads", ["GRANT TRUNCATE ON leads TO lead_app"]),
    ("references", "forbidden-grant", "leads", ["GRANT REFERENCES (id) ON leads TO lead_app"]),
    ("trigger", "forbidden-grant", "leads", ["GRANT TRIGGER ON leads TO lead_app"]),
    ("maintain", "forbidden-grant", "leads", ["GRANT MAINTAIN ON leads TO lead_app"]),
    ("grant to everybody", "forbidden-grant", "leads", ["GRANT SELECT ON leads TO PUBLIC"]),
    ("grantable", "forbidden-grant", "leads", ["GRANT SELECT ON leads TO lead_app WITH GRANT OPTION"]),
    (
        "single-column key",
        "foreign-key",
        "consents.loose",
        [
            "ALTER TABLE opt_outs ADD CONSTRAINT one UNIQUE (id)",
            "ALTER TABLE consents ADD CONSTRAINT loose FOREIGN KEY (id) REFERENCES opt_outs (id)",
        ],
    ),
    (
        "key led by another column",
        "foreign-key",
        "consents.turned",
        [
            "ALTER TABLE opt_outs ADD CONSTRAINT turned UNIQUE (id, tenant_id)",
            "ALTER TABLE consents ADD CONSTRAINT turned FOREIGN KEY (lead_id, tenant_id) REFERENCES opt_outs (id, tenant_id)",
        ],
    ),
    (
        "key without the location",
        "foreign-key",
        "consents.wide",
        ["ALTER TABLE consents ADD CONSTRAINT wide FOREIGN KEY (tenant_id, lead_id) REFERENCES leads (tenant_id, id)"],
    ),
    (
        "unique index",
        "unique-index",
        "leads.leads_mail",
        ["CREATE UNIQUE INDEX leads_mail ON leads (email, tenant_id)"],
    ),
    (
        "unique expression",
        "unique-index",
        "leads.leads_mail",
        ["CREATE UNIQUE INDEX leads_mail ON leads (lower(email), tenant_id)"],
    ),
    (
        "exclusion",
        "unique-index",
        "opt_outs.apart",
        ["ALTER TABLE opt_outs ADD CONSTRAINT apart EXCLUDE USING gist (channel WITH =)"],
    ),
    (
        "tenant nullable",
        "tenant-column",
        "opt_outs",
        ["ALTER TABLE opt_outs DROP CONSTRAINT opt_outs_pkey, ALTER tenant_id DROP NOT NULL"],
    ),
    ("tenant by default", "tenant-column", "leads", ["ALTER TABLE leads ALTER tenant_id SET DEFAULT uuidv7()"]),
    ("location nullable", "location-column", "leads", ["ALTER TABLE leads ALTER location_id DROP NOT NULL"]),
    ("location gone", "location-column", "consents", ["ALTER TABLE consents DROP location_id CASCADE"]),
    ("location without policy", "location-column", "opt_outs", ["ALTER TABLE opt_outs ADD location_id uuid"]),
    ("view of its owner", "view", "every_lead", ["CREATE VIEW every_lead AS SELECT * FROM leads"]),
    (
        "view that invokes not",
        "view",
        "every_lead",
        ["CREATE VIEW every_lead WITH (security_invoker = off) AS SELECT * FROM leads"],
    ),
    (
        "materialised view",
        "unprotectable",
        "every_lead",
        ["CREATE MATERIALIZED VIEW every_lead AS SELECT * FROM leads", "GRANT SELECT ON every_lead TO lead_app"],
    ),
    (
        "foreign table",
        "unprotectable",
        "far",
        [
            "CREATE FOREIGN DATA WRAPPER elsewhere",
            "CREATE SERVER far_away FOREIGN DATA WRAPPER elsewhere",
            "CREATE FOREIGN TABLE far (id uuid) SERVER far_away",
            "GRANT SELECT ON far TO lead_app",
        ],
    ),
    ("sequence", "sequence", "numbers", ["CREATE SEQUENCE numbers", "GRANT USAGE ON SEQUENCE numbers TO lead_app"]),
    (
        "unlisted definer function",
        "definer-function",
        "peek()",
        ["CREATE FUNCTION peek() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM leads'"],
    ),
    (
        "definer function of the owner",
        "definer-function",
        "lookup_tenants()",
        ["ALTER FUNCTION lookup_tenants() OWNER TO lead_owner"],
    ),
    ("no search_path", "definer-function", "lookup_tenants()", ["ALTER FUNCTION lookup_tenants() RESET search_path"]),
    (
        "search_path without pg_temp",
        "definer-function",
        "lookup_tenants()",
        ["ALTER FUNCTION lookup_tenants() SET search_path = pg_catalog, public"],
    ),
    (
        "definer function for visitors",
        "definer-function",
        "lookup_tenants()",
        ["GRANT EXECUTE ON FUNCTION lookup_tenants() TO lead_visitor"],
    ),
    (
        "definer function for everybody",
        "public-function",
        "lookup_tenants()",
        ["GRANT EXECUTE ON FUNCTION lookup_tenants() TO PUBLIC"],
    ),
    (
        "function for everybody by default",
        "public-function",
        "one()",
        ["CREATE FUNCTION one() RETURNS integer LANGUAGE sql AS 'SELECT 1'"],
    ),
    ("leakproof", "leakproof-function", "app_now()", ["ALTER FUNCTION app_now() LEAKPROOF"]),
    ("definer function gone", "missing-function", "lookup_tenants()", ["DROP FUNCTION lookup_tenants()"]),
    (
        "definer trigger",
        "trigger-definer",
        "leads.peek",
        [
            "CREATE FUNCTION peek() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN RETURN new; END'",
            "CREATE TRIGGER peek BEFORE INSERT ON leads FOR EACH ROW EXECUTE FUNCTION peek()",
        ],
    ),
    ("rewrite rule", "rewrite-rule", "leads.peek", ["CREATE RULE peek AS ON DELETE TO leads DO ALSO SELECT 1"]),
    (
        "default for everybody",
        "default-privilege",
        "public",
        ["ALTER DEFAULT PRIVILEGES FOR ROLE lead_owner IN SCHEMA public GRANT SELECT ON TABLES TO PUBLIC"],
    ),
    (
        "default for the app",
        "default-privilege",
        "every schema",
        ["ALTER DEFAULT PRIVILEGES FOR ROLE lead_owner GRANT SELECT ON TABLES TO lead_app"],
    ),
    ("objects of the app", "schema-create", "schema public", ["GRANT CREATE ON SCHEMA public TO lead_app"]),
    ("objects of everybody", "schema-create", "schema public", ["GRANT CREATE ON SCHEMA public TO PUBLIC"]),
    ("schema of another", "schema-create", "schema public", ["ALTER SCHEMA public OWNER TO CURRENT_USER"]),
    ("tenant for good", "setting", "lead_app", ["ALTER ROLE lead_app SET app.tenant_id = 'x'"]),
    ("no row security", "setting", "lead_app", ["ALTER ROLE lead_app SET row_security = off"]),
    ("another search_path", "setting", "lead_app", ["ALTER ROLE lead_app SET search_path = s, public"]),
    ("a tenant's function", "setting", "app_now()", ["ALTER FUNCTION app_now() SET app.tenant_id = 'x'"]),
    ("publication", "replication", "publication all_of_it", ["CREATE PUBLICATION all_of_it FOR ALL TABLES"]),
    (
        "subscription",
        "replication",
        "subscription theirs",
        [
            "CREATE SUBSCRIPTION theirs CONNECTION '' PUBLICATION x WITH (connect = false, slot_name = NONE, enabled = false)"
        ],
    ),
    (
        "dblink",
        "foreign-data",
        "extension dblink",
        [
            CATALOG_WRITES,
            "INSERT INTO pg_extension SELECT 1, 'dblink', extowner, extnamespace, false, '1' FROM pg_extension LIMIT 1",
        ],
    ),
    (
        "user mapping",
        "foreign-data",
        "user mapping of lead_app",
        [
            "CREATE FOREIGN DATA WRAPPER elsewhere",
            "CREATE SERVER far_away FOREIGN DATA WRAPPER elsewhere",
            "CREATE USER MAPPING FOR lead_app SERVER far_away",
        ],
    ),
]


@pytest_asyncio.fixture(scope="module")
async def admin(cluster: Cluster) -> AsyncIterator[AsyncEngine]:
    """A superuser's engine on a database whose faults are all rolled back."""
    async with cluster.clone("audited") as database:
        engine = create_async_engine(database_url(database.admin_url))
        yield engine
        await engine.dispose()


async def _audit_with(admin: AsyncEngine, *statements: str) -> list[Finding]:
    """What lead_app's rights find after these statements, which leave no trace."""
    async with admin.connect() as connection:
        for statement in statements:
            await connection.execute(text(statement))
        await connection.execute(text("SET LOCAL ROLE lead_app"))
        findings = await audit_isolation(connection, production=False)
        await connection.rollback()
    return [finding for finding in findings if finding.rule != SERVER_VERSION]


async def test_a_migrated_database_has_no_findings(engines: Engines) -> None:
    findings = await audit_isolation(engines.app, production=False)

    assert [str(finding) for finding in findings if finding.severity == "error"] == []


async def test_the_audit_leaves_the_settings_of_a_connection_alone(engines: Engines) -> None:
    async with engines.app.connect() as connection:
        await connection.execute(text("SET LOCAL search_path = public"))
        await audit_isolation(connection, production=False)
        assert await connection.scalar(text("SHOW search_path")) == "public"


@pytest.mark.parametrize(("rule", "named", "statements"), [fault[1:] for fault in FAULTS], ids=[f[0] for f in FAULTS])
async def test_a_fault_is_found(admin: AsyncEngine, rule: str, named: str, statements: list[str]) -> None:
    findings = await _audit_with(admin, *statements)

    assert (rule, named, "error") in {(finding.rule, finding.object, finding.severity) for finding in findings}


async def test_the_faults_leave_no_trace(admin: AsyncEngine) -> None:
    assert await _audit_with(admin) == []


def test_four_tables_belong_to_no_tenant() -> None:
    without = {name for name, rule in TABLES.items() if rule.scope == "platform"}

    assert without == {"tenants", "routes", "platform_users", "unrouted_webhooks"}


def test_every_rule_is_proved_by_a_fault() -> None:
    assert {rule for _, rule, _, _ in FAULTS} == set(RULES)


async def test_every_policy_of_every_table_is_missed(admin: AsyncEngine) -> None:
    async with admin.connect() as connection:
        rows = await connection.execute(text("SELECT tablename, policyname FROM pg_policies"))
        policies = [(row.tablename, row.policyname) for row in rows]

    for table, policy in policies:
        findings = await _audit_with(admin, f"DROP POLICY {policy} ON {table}")
        assert [(finding.rule, finding.object) for finding in findings] == [("policy", table)]


async def test_a_partition_that_is_closed_is_no_finding(admin: AsyncEngine) -> None:
    closed = [
        "CREATE TABLE touched (LIKE opt_outs) PARTITION BY HASH (tenant_id)",
        "CREATE TABLE touched_1 PARTITION OF touched FOR VALUES WITH (MODULUS 1, REMAINDER 0)",
        "ALTER TABLE touched_1 OWNER TO lead_owner",
        "ALTER TABLE touched_1 ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE touched_1 FORCE ROW LEVEL SECURITY",
        "ALTER TABLE opt_outs RENAME TO gone",
        "ALTER TABLE touched RENAME TO opt_outs",
    ]

    findings = await _audit_with(admin, *closed)

    assert [finding for finding in findings if finding.object == "touched_1"] == []


async def test_a_view_with_the_callers_rights_is_no_finding(admin: AsyncEngine) -> None:
    made = "CREATE VIEW mine WITH (security_invoker = true) AS SELECT * FROM leads"

    assert await _audit_with(admin, made, "ALTER VIEW mine OWNER TO lead_owner") == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a = b", "(a = b)"),
        ("(a = b AND c = d) AND e", "((a = b) AND (c = d) AND e)"),
        ("nullif(x, '')", "NULLIF(x, ''::text)"),
        ("(SELECT f(x))", '( SELECT f(x) AS "nullif")'),
        ("a = ANY ((SELECT b)::uuid[])", "(a = ANY (( SELECT b AS c)::uuid[]))"),
    ],
)
def test_two_ways_to_write_an_expression_are_the_same(one: str, other: str) -> None:
    assert tree_of(one) == tree_of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a AND (b OR c)", "(a AND b) OR c"),
        ("a = 'x'", "a = 'X'"),
        ("a = b", "a = c"),
        ("a::uuid = b", "a = b"),
        ("f(a)", "s.f(a)"),
        ("(SELECT a)", "a"),
        ("a IS NULL", "a IS NOT NULL"),
        ("a = b", "a <> b"),
        ("a = b", None),
        ('"A"', "a"),
    ],
)
def test_two_expressions_are_not_the_same(one: str, other: str | None) -> None:
    assert tree_of(one) != tree_of(other)


@pytest.mark.parametrize(("version", "holes"), [(180007, 0), (180006, 1), (170011, 1), (160004, 4), (150020, 0)])
def test_the_open_holes_of_a_server(version: int, holes: int) -> None:
    assert len(open_holes(version)) == holes


@pytest.mark.parametrize(("version", "advice"), [(140025, "move to 18"), (190001, "bring it up to date")])
def test_a_server_outside_of_the_table_is_told_of(version: int, advice: str) -> None:
    assert advice in open_holes(version)[0]


async def test_a_server_with_a_hole_is_an_error_in_production_only(engines: Engines) -> None:
    async with engines.app.connect() as connection:
        version = int(await connection.scalar(text("SHOW server_version_num")) or 0)

    for production, severity in ((True, "error"), (False, "warning")):
        findings = await audit_isolation(engines.app, production=production)
        about_server = [finding for finding in findings if finding.rule == SERVER_VERSION]
        assert [finding.severity for finding in about_server] == [severity] * len(open_holes(version))
