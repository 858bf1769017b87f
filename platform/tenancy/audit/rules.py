"""What must hold in the database, one function a rule: each yields the objects that break it, with what is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from lead_orchestrator.tenancy.audit.catalog import Catalog, HeldPolicy, Relation
from lead_orchestrator.tenancy.audit.expressions import tree_of
from lead_orchestrator.tenancy.policies import DEFINER_FUNCTIONS, TABLES, policies_of

__all__ = ["RULES", "Hits"]

Hits = Iterator[tuple[str, str]]

_LOGINS = ("lead_app", "lead_visitor", "lead_platform")
_ROLES = ("lead_owner", *_LOGINS, "lead_lookup")
_FORBIDDEN = {"TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN"}

# Tables of ours that hold no row of a tenant, and who reads them.
_UNPROTECTED = {"alembic_version": ("lead_app", "lead_platform")}


def role_attributes(catalog: Catalog) -> Hits:
    held = {role.name: role for role in catalog.roles}
    for name in _ROLES:
        if name not in held:
            yield name, "does not exist: run migrate --bootstrap"
            continue
        role = held[name]
        for has, what in (
            (role.superuser, "SUPERUSER"),
            (role.bypass, "BYPASSRLS"),
            (role.create_role, "CREATEROLE"),
            (role.create_database, "CREATEDB"),
            (role.replication, "REPLICATION"),
        ):
            if has:
                yield name, f"has {what}"
        if name == "lead_lookup" and role.login:
            yield name, "may log in: it only owns functions"


def role_memberships(catalog: Catalog) -> Hits:
    for link in catalog.memberships:
        allowed = link.member == "lead_owner" and link.role == "lead_lookup"
        if link.member in _ROLES and not allowed:
            yield link.member, f"is a member of {link.role}"


def role_ownership(catalog: Catalog) -> Hits:
    for owned in catalog.owned:
        if owned.role in _LOGINS or (owned.role == "lead_lookup" and not owned.is_function):
            yield owned.object, f"belongs to {owned.role}"
    for table in catalog.relations:
        if table.owner != "lead_owner":
            yield table.full_name, f"belongs to {table.owner}, not to lead_owner"


def known_tables(catalog: Catalog) -> Hits:
    for table in catalog.tables:
        if _root(table) not in {*TABLES, *_UNPROTECTED}:
            yield table.full_name, "is not in the list of tables: add it to TABLES with its scope"
    for missing in sorted(set(TABLES) - {table.full_name for table in catalog.tables}):
        yield missing, "is in the list of tables, but not in the database"


def row_security(catalog: Catalog) -> Hits:
    for table in catalog.tables:
        if table.full_name in _UNPROTECTED:
            continue
        if not table.enabled:
            yield table.full_name, "row level security is not enabled"
        if not table.forced:
            yield table.full_name, "row level security is not forced: its owner sees every row"


def policies(catalog: Catalog) -> Hits:
    for table in catalog.tables:
        held = {(policy.name, policy.role): policy for policy in catalog.policies if policy.table == table.full_name}
        expected = {(policy.name, policy.role): policy for policy in _expected_policies(table)}
        for name, role in sorted(held.keys() - expected.keys()):
            yield table.full_name, f"policy {name} for {role} is not of a template"
        for name, role in sorted(expected.keys() - held.keys()):
            yield table.full_name, f"policy {name} for {role} is missing"
        for key in sorted(held.keys() & expected.keys()):
            for part in _differences(held[key], expected[key]):
                yield table.full_name, f"policy {key[0]} for {key[1]} differs from its template in {part}"


def _expected_policies(table: Relation) -> list[HeldPolicy]:
    if table.full_name not in TABLES:
        return []
    return [
        HeldPolicy(table.name, one.name, one.role, one.command, one.permissive, one.using, one.check)
        for one in policies_of(table.name)
    ]


def _differences(held: HeldPolicy, expected: HeldPolicy) -> Iterator[str]:
    if held.command != expected.command:
        yield f"its command, {held.command} for {expected.command}"
    if held.permissive != expected.permissive:
        yield "being restrictive or permissive"
    if tree_of(held.using) != tree_of(expected.using):
        yield f"USING: {held.using}"
    if tree_of(held.check) != tree_of(expected.check):
        yield f"WITH CHECK: {held.check}"


def grants(catalog: Catalog) -> Hits:
    for table in catalog.tables:
        held = {(one.role, one.privilege, one.column) for one in catalog.grants if one.relation == table.full_name}
        expected = set(_expected_grants(table.full_name))
        for grant in sorted(held - expected, key=str):
            yield table.full_name, f"{_sentence(*grant)} was not to be granted"
        for grant in sorted(expected - held, key=str):
            yield table.full_name, f"{_sentence(*grant)} is missing"


def _sentence(role: str, privilege: str, column: str | None) -> str:
    return f"{privilege}{f' ({column})' if column else ''} to {role}"


def _expected_grants(table: str) -> Iterator[tuple[str, str, str | None]]:
    for role in _UNPROTECTED.get(table, ()):
        yield role, "SELECT", None
    if table not in TABLES:
        return
    rule = TABLES[table]
    app, visitor = (*rule.app, *rule.app_later), (*rule.visitor, *rule.visitor_later)
    by_role = {
        **dict(zip(_LOGINS, (app, visitor, rule.platform), strict=True)),
        "lead_lookup": (*rule.lookup, *rule.lookup_later),
    }
    for role, privileges in by_role.items():
        for privilege in privileges:
            yield from ((role, *one) for one in _columns(privilege))


def _columns(privilege: str) -> Sequence[tuple[str, str | None]]:
    """`SELECT (a, b)` is SELECT on a and on b."""
    match = re.fullmatch(r"(\w+)\s*\((.*)\)", privilege)
    return [(match[1], name.strip()) for name in match[2].split(",")] if match else [(privilege, None)]


def forbidden_grants(catalog: Catalog) -> Hits:
    for grant in catalog.grants:
        if grant.privilege in _FORBIDDEN:
            yield grant.relation, f"{grant.privilege} to {grant.role}: policies do not limit it"
        if grant.role == "PUBLIC":
            yield grant.relation, f"{grant.privilege} to everybody"
        if grant.grantable:
            yield grant.relation, f"{grant.role} may grant {grant.privilege} on"


def foreign_keys(catalog: Catalog) -> Hits:
    for key in catalog.foreign_keys:
        target = _tenant_column(catalog, key.target)
        if target is None:
            continue
        if key.columns[0] != _tenant_column(catalog, key.table) or key.target_columns[0] != target:
            yield f"{key.table}.{key.name}", "does not begin with the tenant on both sides: it accepts foreign rows"
        mine, theirs = _location_column(catalog, key.table), _location_column(catalog, key.target)
        if TABLES[key.target].scope == "shared":  # its row may be the whole tenant's: no key can hold the location
            continue
        if mine and theirs and (mine, theirs) not in zip(key.columns, key.target_columns, strict=True):
            yield f"{key.table}.{key.name}", "does not hold the location equal to its parent's"


def unique_indexes(catalog: Catalog) -> Hits:
    for index in catalog.unique_indexes:
        rule = TABLES.get(index.table)
        if rule and rule.scope != "platform" and index.first != rule.tenant_column:
            yield f"{index.table}.{index.name}", "does not begin with the tenant: it tells whether a foreign row exists"


def tenant_columns(catalog: Catalog) -> Hits:
    for table, rule in TABLES.items():
        columns = catalog.columns_of(table)
        if rule.scope == "platform" or not columns:
            continue
        column = columns.get(rule.tenant_column)
        if column is None or column.type != "uuid" or not column.not_null:
            yield table, f"{rule.tenant_column} is not uuid NOT NULL"
        elif column.has_default:
            yield table, f"{rule.tenant_column} has a default: whoever forgets the tenant must fail"


def location_columns(catalog: Catalog) -> Hits:
    for table, rule in TABLES.items():
        columns = catalog.columns_of(table)
        column = columns.get(rule.location_column)
        if rule.scope == "platform" or not columns:
            continue
        if rule.scope == "tenant":
            if not rule.why:
                yield table, "has no location and no reason for it: add `why`"
            if column is not None:
                yield table, f"has {rule.location_column}, but its scope is the tenant: no policy looks at it"
        elif column is None or column.type != "uuid":
            yield table, f"has no {rule.location_column} of type uuid, but its scope is {rule.scope}"
        elif rule.scope == "location" and not column.not_null:
            yield table, f"{rule.location_column} may be null: such a row belongs to no location"


def views(catalog: Catalog) -> Hits:
    for relation in catalog.relations:
        if relation.kind == "v" and not relation.invoker:
            yield relation.full_name, "is a view without security_invoker: it reads with its owner's rights"


def unprotectable_relations(catalog: Catalog) -> Hits:
    for grant in catalog.grants:
        if grant.kind in {"m", "f"}:
            what = "materialised view" if grant.kind == "m" else "foreign table"
            yield grant.relation, f"is a {what}, which has no policies, and {grant.role} has {grant.privilege}"


def sequences(catalog: Catalog) -> Hits:
    for grant in catalog.grants:
        if grant.kind == "S":
            yield grant.relation, f"{grant.role} has {grant.privilege}: its value tells everybody's volume"


def definer_functions(catalog: Catalog) -> Hits:
    for function in catalog.functions:
        if not function.definer:
            continue
        if function.signature not in DEFINER_FUNCTIONS:
            yield function.signature, "is SECURITY DEFINER and not in the list of such functions"
        if function.owner != "lead_lookup":
            yield function.signature, f"is SECURITY DEFINER and belongs to {function.owner}, not to lead_lookup"
        if not (function.search_path or "").endswith(", pg_temp"):
            yield function.signature, f"has the search_path {function.search_path}: it must be set and end in pg_temp"
        if others := [role for role in function.executors if role not in {"lead_app", "PUBLIC"}]:
            yield function.signature, f"may be executed by {', '.join(others)}"


def public_functions(catalog: Catalog) -> Hits:
    for function in catalog.functions:
        if "PUBLIC" in function.executors:
            yield function.signature, "may be executed by everybody"


def leakproof_functions(catalog: Catalog) -> Hits:
    for function in catalog.functions:
        if function.leakproof:
            yield function.signature, "is LEAKPROOF: it may see rows before the policies do"


def missing_functions(catalog: Catalog) -> Hits:
    held = {function.signature for function in catalog.functions if function.definer}
    for signature in sorted(DEFINER_FUNCTIONS - held):
        yield signature, "is in the list of SECURITY DEFINER functions, but not in the database"


def _listed(rule: str) -> Callable[[Catalog], Hits]:
    def hits(catalog: Catalog) -> Hits:
        return ((hit.object, hit.detail) for hit in catalog.hits if hit.rule == rule)

    return hits


def _root(table: Relation) -> str:
    return table.root if table.root and table.schema == "public" else table.full_name


def _tenant_column(catalog: Catalog, table: str) -> str | None:
    rule = TABLES.get(table)
    return rule.tenant_column if rule and rule.tenant_column in catalog.columns_of(table) else None


def _location_column(catalog: Catalog, table: str) -> str | None:
    rule = TABLES.get(table)
    return rule.location_column if rule and rule.location_column in catalog.columns_of(table) else None


RULES: dict[str, Callable[[Catalog], Hits]] = {
    "role-attribute": role_attributes,
    "role-membership": role_memberships,
    "role-ownership": role_ownership,
    "unknown-table": known_tables,
    "row-security": row_security,
    "policy": policies,
    "grant": grants,
    "forbidden-grant": forbidden_grants,
    "foreign-key": foreign_keys,
    "unique-index": unique_indexes,
    "tenant-column": tenant_columns,
    "location-column": location_columns,
    "view": views,
    "unprotectable": unprotectable_relations,
    "sequence": sequences,
    "definer-function": definer_functions,
    "public-function": public_functions,
    "leakproof-function": leakproof_functions,
    "missing-function": missing_functions,
    **{
        rule: _listed(rule)
        for rule in (
            "trigger-definer",
            "rewrite-rule",
            "default-privilege",
            "schema-create",
            "setting",
            "replication",
            "foreign-data",
        )
    },
}
