"""What the audit reads of pg_catalog. Every login may read all of it, so it runs as lead_app."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

__all__ = [
    "Catalog",
    "Column",
    "ForeignKey",
    "Function",
    "Grant",
    "HeldPolicy",
    "Relation",
    "UniqueIndex",
    "read_catalog",
]


@dataclass(frozen=True)
class Relation:
    """`kind` as in pg_class.relkind; `root` is the partitioned table that a partition belongs to."""

    schema: str
    name: str
    kind: str
    owner: str
    enabled: bool
    forced: bool
    invoker: bool
    root: str | None

    @property
    def is_table(self) -> bool:
        return self.kind in {"r", "p"}

    @property
    def full_name(self) -> str:
        return self.name if self.schema == "public" else f"{self.schema}.{self.name}"


@dataclass(frozen=True)
class Column:
    table: str
    name: str
    type: str
    not_null: bool
    has_default: bool


@dataclass(frozen=True)
class HeldPolicy:
    """One policy and one of its roles."""

    table: str
    name: str
    role: str
    command: str
    permissive: bool
    using: str | None
    check: str | None


@dataclass(frozen=True)
class Grant:
    """`column` is None for the whole relation; `role` is PUBLIC for everybody."""

    relation: str
    kind: str
    role: str
    privilege: str
    column: str | None
    grantable: bool


@dataclass(frozen=True)
class ForeignKey:
    name: str
    table: str
    columns: Sequence[str]
    target: str
    target_columns: Sequence[str]


@dataclass(frozen=True)
class UniqueIndex:
    """`first` is None when the index begins with an expression."""

    name: str
    table: str
    first: str | None


@dataclass(frozen=True)
class Function:
    signature: str
    owner: str
    definer: bool
    leakproof: bool
    search_path: str | None
    executors: Sequence[str]


@dataclass(frozen=True)
class Role:
    name: str
    superuser: bool
    bypass: bool
    create_role: bool
    create_database: bool
    replication: bool
    login: bool
    inherits: bool


@dataclass(frozen=True)
class Membership:
    role: str
    member: str


@dataclass(frozen=True)
class Owned:
    role: str
    is_function: bool
    object: str


@dataclass(frozen=True)
class Hit:
    """A row that is a finding by being there at all."""

    rule: str
    object: str
    detail: str


@dataclass(frozen=True)
class Catalog:
    version: int
    roles: Sequence[Role]
    memberships: Sequence[Membership]
    owned: Sequence[Owned]
    relations: Sequence[Relation]
    columns: Sequence[Column]
    policies: Sequence[HeldPolicy]
    grants: Sequence[Grant]
    foreign_keys: Sequence[ForeignKey]
    unique_indexes: Sequence[UniqueIndex]
    functions: Sequence[Function]
    hits: Sequence[Hit]

    @property
    def tables(self) -> list[Relation]:
        return [relation for relation in self.relations if relation.is_table]

    def columns_of(self, table: str) -> dict[str, Column]:
        return {column.name: column for column in self.columns if column.table == table}


_OURS = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
_NAME = "CASE n.nspname WHEN 'public' THEN '' ELSE n.nspname || '.' END || c.relname"
_GRANTEE = "CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee)::text END"
_SIGNATURE = (
    "CASE n.nspname WHEN 'public' THEN '' ELSE n.nspname || '.' END || p.proname"
    " || '(' || oidvectortypes(p.proargtypes) || ')'"
)
_NOT_OF_AN_EXTENSION = "NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')"


def _names(keys: str, relation: str) -> str:
    return (
        f"(SELECT array_agg(t.attname::text ORDER BY o.place) FROM unnest({keys}) WITH ORDINALITY o (number, place)"  # noqa: S608 - constants of this file
        f" JOIN pg_attribute t ON t.attrelid = {relation} AND t.attnum = o.number)"
    )


_ROLES = """
SELECT rolname::text AS name, rolsuper AS superuser, rolbypassrls AS bypass, rolcreaterole AS create_role,
  rolcreatedb AS create_database, rolreplication AS replication, rolcanlogin AS login, rolinherit AS inherits
FROM pg_roles"""

_MEMBERSHIPS = """
SELECT roleid::regrole::text AS role, member::regrole::text AS member FROM pg_auth_members"""

_OWNED = """
SELECT pg_get_userbyid(refobjid)::text AS role, classid = 'pg_proc'::regclass AS is_function,
  pg_describe_object(classid, objid, objsubid) AS object
FROM pg_shdepend WHERE deptype = 'o' AND refclassid = 'pg_authid'::regclass
  AND dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))"""

_RELATIONS = f"""
SELECT n.nspname::text AS schema, c.relname::text AS name, c.relkind::text AS kind, pg_get_userbyid(c.relowner)::text AS owner,
  c.relrowsecurity AS enabled, c.relforcerowsecurity AS forced,
  coalesce((SELECT option_value::boolean FROM pg_options_to_table(c.reloptions) WHERE option_name = 'security_invoker'), false)
    AS invoker,
  CASE WHEN c.relispartition THEN (SELECT relname::text FROM pg_class WHERE oid = pg_partition_root(c.oid)) END AS root
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE {_OURS} AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')"""  # noqa: S608 - constants of this file

_COLUMNS = f"""
SELECT {_NAME} AS table, a.attname::text AS name, format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull AS not_null,
  a.atthasdef AS has_default
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE {_OURS} AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped"""  # noqa: S608 - constants of this file

_POLICIES = f"""
SELECT {_NAME} AS table, o.polname::text AS name, CASE r.id WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(r.id)::text END AS role,
  CASE o.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END
    AS command,
  o.polpermissive AS permissive, pg_get_expr(o.polqual, o.polrelid) AS using, pg_get_expr(o.polwithcheck, o.polrelid) AS check
FROM pg_policy o JOIN pg_class c ON c.oid = o.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL unnest(o.polroles) r (id)"""  # noqa: S608 - constants of this file

_GRANTS = f"""
SELECT {_NAME} AS relation, c.relkind::text AS kind, {_GRANTEE} AS role, a.privilege_type AS privilege, g.column,
  a.is_grantable AS grantable
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (
  SELECT c.relacl AS acl, NULL AS column
  UNION ALL SELECT t.attacl, t.attname::text FROM pg_attribute t WHERE t.attrelid = c.oid AND NOT t.attisdropped) g
CROSS JOIN LATERAL aclexplode(g.acl) a
WHERE {_OURS} AND a.grantee <> c.relowner"""  # noqa: S608 - constants of this file

_FOREIGN_KEYS = f"""
SELECT k.conname::text AS name, {_NAME} AS table, {_names("k.conkey", "k.conrelid")} AS columns,
  f.relname::text AS target, {_names("k.confkey", "k.confrelid")} AS target_columns
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_class f ON f.oid = k.confrelid
WHERE {_OURS} AND k.contype = 'f'"""  # noqa: S608 - constants of this file

_UNIQUE_INDEXES = f"""
SELECT (SELECT relname::text FROM pg_class WHERE oid = i.indexrelid) AS name, {_NAME} AS table,
  (SELECT attname::text FROM pg_attribute WHERE attrelid = i.indrelid AND attnum = i.indkey[0]) AS first
FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE {_OURS} AND (i.indisunique OR i.indisexclusion)"""  # noqa: S608 - constants of this file

_FUNCTIONS = f"""
SELECT {_SIGNATURE} AS signature, pg_get_userbyid(p.proowner)::text AS owner, p.prosecdef AS definer,
  p.proleakproof AS leakproof,
  (SELECT substr(s, 13) FROM unnest(p.proconfig) s WHERE s LIKE 'search\\_path=%') AS search_path,
  ARRAY(SELECT {_GRANTEE} FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
    WHERE a.grantee <> p.proowner ORDER BY 1) AS executors
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE {_OURS} AND {_NOT_OF_AN_EXTENSION}"""  # noqa: S608 - constants of this file

_HITS = f"""
SELECT 'trigger-definer' AS rule, {_NAME} || '.' || g.tgname AS object, 'runs ' || p.proname || ' as its owner' AS detail
FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_proc p ON p.oid = g.tgfoid WHERE NOT g.tgisinternal AND p.prosecdef
UNION ALL
SELECT 'rewrite-rule', {_NAME} || '.' || w.rulename, 'runs with the rights of the table''s owner'
FROM pg_rewrite w JOIN pg_class c ON c.oid = w.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE {_OURS} AND NOT (w.ev_type = '1' AND c.relkind IN ('v', 'm'))
UNION ALL
SELECT 'default-privilege', coalesce(nullif(d.defaclnamespace, 0)::regnamespace::text, 'every schema'),
  a.privilege_type || ' on what ' || pg_get_userbyid(d.defaclrole) || ' makes goes to ' || {_GRANTEE}
FROM pg_default_acl d CROSS JOIN LATERAL aclexplode(d.defaclacl) a WHERE a.grantee <> d.defaclrole
UNION ALL
SELECT 'schema-create', 'schema ' || n.nspname, {_GRANTEE} || ' may create objects in it'
FROM pg_namespace n CROSS JOIN LATERAL aclexplode(n.nspacl) a
WHERE {_OURS} AND a.privilege_type = 'CREATE' AND a.grantee <> n.nspowner
UNION ALL
SELECT 'schema-create', 'schema ' || n.nspname, 'belongs to ' || pg_get_userbyid(n.nspowner) || ', not to lead_owner'
FROM pg_namespace n WHERE {_OURS} AND pg_get_userbyid(n.nspowner) <> 'lead_owner'
UNION ALL
SELECT 'schema-create', 'database ' || d.datname, {_GRANTEE} || ' has ' || a.privilege_type
FROM pg_database d CROSS JOIN LATERAL aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
WHERE d.datname = current_database() AND a.grantee <> d.datdba AND a.privilege_type IN ('CREATE', 'TEMPORARY')
UNION ALL
SELECT 'setting', coalesce(nullif(s.setrole, 0)::regrole::text, 'every role'), split_part(c, '=', 1) || ' is set for good'
FROM pg_db_role_setting s CROSS JOIN LATERAL unnest(s.setconfig) c
WHERE s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
  AND c ~* '^(app\\.|row_security=|search_path=|session_replication_role=|role=)'
UNION ALL
SELECT 'setting', {_SIGNATURE}, split_part(c, '=', 1) || ' is set while it runs'
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace CROSS JOIN LATERAL unnest(p.proconfig) c
WHERE {_OURS} AND c ~* '^(app\\.|row_security=|session_replication_role=|role=)'
UNION ALL
SELECT 'replication', 'publication ' || pubname, 'carries rows out past every policy' FROM pg_publication
UNION ALL
SELECT 'replication', 'subscription ' || subname, 'writes rows past every policy' FROM pg_subscription
WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
UNION ALL
SELECT 'foreign-data', 'extension ' || extname, 'opens connections of its own' FROM pg_extension
WHERE extname IN ('dblink', 'postgres_fdw', 'file_fdw')
UNION ALL
SELECT 'foreign-data', 'server ' || srvname, 'another database is in reach' FROM pg_foreign_server
UNION ALL
SELECT 'foreign-data', 'user mapping of ' || usename, 'on server ' || srvname FROM pg_user_mappings"""  # noqa: S608 - constants of this file

_T = TypeVar("_T")


async def read_catalog(connection: AsyncConnection) -> Catalog:
    """One snapshot of what the rules need; leaves the connection's settings as they were."""
    before = await connection.scalar(text("SELECT current_setting('search_path')"))
    # Then everything outside of pg_catalog is shown with its schema: a function that shadows a built-in one is seen.
    await _set_search_path(connection, "pg_catalog")
    catalog = Catalog(
        version=int(await connection.scalar(text("SELECT current_setting('server_version_num')")) or 0),
        roles=await _rows(connection, Role, _ROLES),
        memberships=await _rows(connection, Membership, _MEMBERSHIPS),
        owned=await _rows(connection, Owned, _OWNED),
        relations=await _rows(connection, Relation, _RELATIONS),
        columns=await _rows(connection, Column, _COLUMNS),
        policies=await _rows(connection, HeldPolicy, _POLICIES),
        grants=await _rows(connection, Grant, _GRANTS),
        foreign_keys=await _rows(connection, ForeignKey, _FOREIGN_KEYS),
        unique_indexes=await _rows(connection, UniqueIndex, _UNIQUE_INDEXES),
        functions=await _rows(connection, Function, _FUNCTIONS),
        hits=await _rows(connection, Hit, _HITS),
    )
    await _set_search_path(connection, str(before))
    return catalog


async def _set_search_path(connection: AsyncConnection, path: str) -> None:
    await connection.execute(text("SELECT set_config('search_path', :path, true)"), {"path": path})


async def _rows(connection: AsyncConnection, kind: type[_T], statement: str) -> list[_T]:
    return [kind(**row) for row in (await connection.execute(text(statement))).mappings()]
