"""The row level security of every table: few templates, written once.

Migrations apply them, `audit isolation` compares the database with them. A change of a template therefore needs a revision
that applies it again to every table.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = ["DEFINER_FUNCTIONS", "TABLES", "Policy", "TablePolicy", "policies_of", "protect"]

Command = Literal["ALL", "SELECT", "INSERT", "UPDATE", "DELETE"]

# One evaluation per statement: a bare current_setting() in a policy runs once per row.
_TENANT = "(SELECT nullif(current_setting('app.tenant_id', true), '')::uuid)"
_LEAD = "(SELECT nullif(current_setting('app.lead_id', true), '')::uuid)"
_SESSION = "(SELECT nullif(current_setting('app.session_id', true), '')::uuid)"
_ALL_LOCATIONS = "(SELECT current_setting('app.location_ids', true)) = '*'"
_LOCATION_LIST = (
    "(SELECT string_to_array(nullif(nullif(current_setting('app.location_ids', true), ''), '*'), ',')::uuid[])::uuid[]"
)


def _tenant(column: str) -> str:
    return f"{column} = {_TENANT}"


def _location(column: str) -> str:
    return f"({_ALL_LOCATIONS} OR {column} = ANY ({_LOCATION_LIST}))"


@dataclass(frozen=True)
class Policy:
    """One policy as the database should hold it; `check` is None where the command has none."""

    name: str
    role: str
    command: Command
    permissive: bool
    using: str | None
    check: str | None

    def ddl(self, table: str) -> str:
        parts = [
            f"CREATE POLICY {self.name} ON {table}",
            f"AS {'PERMISSIVE' if self.permissive else 'RESTRICTIVE'} FOR {self.command} TO {self.role}",
        ]
        if self.using is not None:
            parts.append(f"USING ({self.using})")
        if self.check is not None:
            parts.append(f"WITH CHECK ({self.check})")
        return " ".join(parts)


@dataclass(frozen=True)
class TablePolicy:
    """How one table is protected.

    `scope`: "location" tables have location_id not null; "shared" ones may leave it null, and such a row is read by the whole
    tenant and written only by those who see every location; "tenant" tables have none, for the reason in `why`; "platform"
    tables belong to no tenant.
    `app`, `visitor`, `platform`, `lookup`: the privileges granted, as GRANT takes them; those `…_later` are on columns
    that a later revision added, which grants them itself.
    """

    scope: Literal["location", "shared", "tenant", "platform"]
    app: Sequence[str] = ("SELECT", "INSERT", "UPDATE", "DELETE")
    visitor: Sequence[str] = ()
    platform: Sequence[str] = ()
    lookup: Sequence[str] = ()
    app_later: Sequence[str] = ()
    visitor_later: Sequence[str] = ()
    lookup_later: Sequence[str] = ()
    why: str = ""
    tenant_column: str = "tenant_id"
    location_column: str = "location_id"
    visitor_lead_column: str | None = None
    visitor_session_column: str | None = None


TABLES: dict[str, TablePolicy] = {
    # The four tables without a tenant.
    "tenants": TablePolicy(
        "platform",
        app=("SELECT",),
        visitor=("SELECT (id, name, slug, status)",),
        platform=("SELECT", "INSERT", "UPDATE"),
        lookup=("SELECT (id, slug, status, status_changed_at)",),
        tenant_column="id",
    ),
    "routes": TablePolicy(
        "platform",
        app=("SELECT",),
        platform=("SELECT", "INSERT", "UPDATE", "DELETE"),
        lookup=("SELECT",),
    ),
    "platform_users": TablePolicy(
        "platform", app=(), platform=("SELECT", "INSERT", "UPDATE"), lookup=("SELECT (id, active, generation)",)
    ),
    "unrouted_webhooks": TablePolicy(
        "platform", app=(), platform=("SELECT", "UPDATE", "DELETE"), lookup=("SELECT", "INSERT", "UPDATE")
    ),
    # One row a tenant, or rows of the whole tenant.
    "tenant_heads": TablePolicy(
        "tenant",
        app=("SELECT", "UPDATE"),
        platform=("SELECT", "INSERT", "UPDATE"),
        lookup=("SELECT (tenant_id, position)",),
        why="one row a tenant: the position of its newest event",
    ),
    "tenant_crm_configs": TablePolicy(
        "tenant",
        app=("SELECT", "UPDATE"),
        platform=("SELECT", "INSERT", "UPDATE"),
        lookup=("SELECT (tenant_id, next_poll_at)",),
        why="one row a tenant: the keys of its CRM account",
    ),
    "tenant_messaging_configs": TablePolicy(
        "tenant",
        app=("SELECT", "UPDATE"),
        platform=("SELECT", "INSERT", "UPDATE"),
        why="one row a tenant: the keys of its messaging accounts",
    ),
    "onboardings": TablePolicy(
        "tenant",
        app=("SELECT", "UPDATE"),
        platform=("SELECT", "INSERT", "UPDATE"),
        why="one row a tenant: how far its onboarding has come",
    ),
    "tenant_assistant_configs": TablePolicy(
        "tenant",
        app=("SELECT", "INSERT", "UPDATE"),
        platform=("SELECT", "INSERT", "UPDATE"),
        why="one row a tenant: what it sets about its assistant, and the key of its model",
    ),
    "assistant_prompts": TablePolicy(
        "tenant",
        app=("SELECT", "INSERT"),  # old versions stay as they are
        platform=("SELECT", "INSERT"),
        why="one assistant a tenant; its instructions name no person",
    ),
    "users": TablePolicy(
        "tenant",
        lookup=("SELECT (tenant_id, id, email, active, generation, generation_raised_at)",),
        why="a person may serve several locations: users.location_ids lists them",
    ),
    "sessions": TablePolicy(
        "tenant",
        lookup=("SELECT (tenant_id, id, user_id, revoked_at)",),
        why="a sign-in belongs to a user, who may serve several locations",
    ),
    "invitations": TablePolicy(
        "tenant",
        lookup=("SELECT (tenant_id, mail_status, mail_due_at)",),
        why="a link belongs to a user, who may serve several locations",
    ),
    "external_issuers": TablePolicy(
        "tenant",
        app=("SELECT",),
        platform=("SELECT", "INSERT", "UPDATE", "DELETE"),
        lookup=("SELECT (tenant_id, issuer, audience)",),
        why="who may issue tokens for the whole franchise",
    ),
    "opt_outs": TablePolicy(
        "tenant",
        why="an opt-out belongs to an address, whichever location the person spoke with; it holds a keyed hash only",
    ),
    "job_executions": TablePolicy(
        "tenant", app=("SELECT", "INSERT", "UPDATE", "DELETE"), why="a job works for the whole tenant"
    ),
    "audit_log": TablePolicy(
        "tenant",
        app=("SELECT", "INSERT"),
        platform=("SELECT", "INSERT"),
        app_later=("UPDATE (source, salt, detail)",),  # to empty them: a trigger lets nothing else be done
        why="an audit trail has one chain a tenant",
    ),
    "idempotency_keys": TablePolicy(
        "tenant",
        why="a key belongs to whoever sent it; it holds a hash and an id, which is read in the caller's own scope",
    ),
    # Everything that hangs from a location.
    "locations": TablePolicy(
        "location",
        location_column="id",
        visitor=("SELECT (tenant_id, id, name, slug, timezone, phone, address)",),
        platform=("SELECT", "INSERT", "UPDATE"),
        lookup=("SELECT (tenant_id, allowed_origins)",),
    ),
    "location_hours": TablePolicy("location", visitor=("SELECT",), platform=("SELECT", "INSERT", "UPDATE", "DELETE")),
    "touch_templates": TablePolicy("shared"),
    "surveys": TablePolicy("location", app=("SELECT", "INSERT")),  # old versions stay as they are
    "message_templates": TablePolicy("shared", app=("SELECT", "INSERT")),  # old versions stay as they are
    "leads": TablePolicy(
        "location",
        visitor=("SELECT (tenant_id, id, location_id, first_name, last_name, status, created_at)",),
        lookup=("SELECT (tenant_id, id, location_id, first_name, last_name, email, phone)",),
        visitor_lead_column="id",
    ),
    "lead_orders": TablePolicy("location"),
    "lead_events": TablePolicy("location", app=("SELECT", "INSERT")),
    "consents": TablePolicy("location", app=("SELECT", "INSERT")),
    "scheduled_messages": TablePolicy("location", lookup=("SELECT (tenant_id, status, due_at, lease_until)",)),
    "message_logs": TablePolicy("location"),
    "service_catalog": TablePolicy(
        "shared",
        visitor=(
            (
                "SELECT (tenant_id, id, location_id, name, description, category, price_cents, currency, duration_minutes,"
                " active, display_order)"
            ),
        ),
    ),
    "location_closures": TablePolicy("location", visitor=("SELECT (tenant_id, id, location_id, starts_at, ends_at)",)),
    "bays": TablePolicy("location", platform=("SELECT", "INSERT")),
    "appointments": TablePolicy("location"),
    "appointment_services": TablePolicy("location"),
    "outbox": TablePolicy("location", lookup=("SELECT (tenant_id, status, next_attempt_at)",)),
    "google_credentials": TablePolicy("location", lookup=("SELECT (tenant_id, status, next_sync_at)",)),
    "google_calendar_events": TablePolicy("location"),
    "shopmonkey_appointments": TablePolicy("location"),
    "chat_sessions": TablePolicy(
        "location",
        visitor=("SELECT (tenant_id, id, location_id, channel, state, version, created_at, last_message_at)",),
        lookup=("SELECT (tenant_id, id, version)",),
        visitor_later=("SELECT (lead_id, visitor_unread)",),
        lookup_later=("SELECT (answer_due_at)",),
        visitor_session_column="id",
    ),
    "chat_messages": TablePolicy(
        "location",
        visitor=("SELECT",),
        visitor_session_column="session_id",
    ),
    "chat_changes": TablePolicy(
        "location",
        app=("SELECT", "INSERT"),
        visitor=("SELECT (tenant_id, id, location_id, session_id, version, kind, state, message_id, created_at)",),
        visitor_session_column="session_id",
    ),
    "assistant_days": TablePolicy("location"),
    "assistant_months": TablePolicy("tenant", why="one row a tenant and month: what its assistant has used"),
    "webhook_events": TablePolicy("location", lookup=("SELECT (tenant_id, id, status, next_attempt_at, source)",)),
    "chat_tool_calls": TablePolicy("location", app=("SELECT", "INSERT")),
}

# The only functions that run with their owner's rights; each belongs to lead_lookup, and lead_app alone may call it.
DEFINER_FUNCTIONS = frozenset(
    {
        "lookup_chat_heads(uuid[], uuid[])",
        "lookup_due_answers()",
        "lookup_due_account_mails()",
        "lookup_due_calendars()",
        "lookup_due_events()",
        "lookup_due_lag()",
        "lookup_due_messages(uuid, integer)",
        "lookup_due_outbox()",
        "lookup_due_polls()",
        "lookup_heads(uuid[])",
        "lookup_issuer(text, text)",
        "lookup_leads(uuid, text, text)",
        "lookup_login(text, text)",
        "lookup_next_due()",
        "lookup_open_messages()",
        "lookup_origin(text)",
        "lookup_place(uuid)",
        "lookup_revoked(timestamp with time zone)",
        "lookup_route(text, text)",
        "lookup_tenant(text)",
        "lookup_tenants()",
        "record_unrouted(text, text, text, text)",
    }
)


def policies_of(table: str) -> Iterator[Policy]:
    """The policies `table` should have, by the templates."""
    rule = TABLES[table]
    if rule.app:
        yield from _app_policies(rule)
    if rule.visitor:
        yield Policy("visitor_reads", "lead_visitor", "SELECT", True, _visitor(rule), None)
    if rule.platform:
        yield Policy("platform_all", "lead_platform", "ALL", True, "true", "true")
    if rule.lookup:
        if "INSERT" in rule.lookup:
            yield Policy("lookup_all", "lead_lookup", "ALL", True, "true", "true")
        else:
            yield Policy("lookup_reads", "lead_lookup", "SELECT", True, "true", None)


def _app_policies(rule: TablePolicy) -> Iterator[Policy]:
    tenant = _tenant(rule.tenant_column)
    yield Policy("tenant_all", "lead_app", "ALL", True, tenant, tenant)
    scope = _location(rule.location_column)
    if rule.scope == "location":
        yield Policy("location_all", "lead_app", "ALL", False, scope, scope)
    elif rule.scope == "shared":
        yield Policy(
            "location_reads", "lead_app", "SELECT", False, f"({rule.location_column} IS NULL OR {scope})", None
        )
        writes = (
            Policy("location_inserts", "lead_app", "INSERT", False, None, scope),
            Policy("location_updates", "lead_app", "UPDATE", False, scope, scope),
            Policy("location_deletes", "lead_app", "DELETE", False, scope, None),
        )
        yield from (policy for policy in writes if policy.command in rule.app)


def _visitor(rule: TablePolicy) -> str:
    terms = [_tenant(rule.tenant_column)]
    if rule.scope == "location":
        terms.append(_location(rule.location_column))
    elif rule.scope == "shared":
        terms.append(f"({rule.location_column} IS NULL OR {_location(rule.location_column)})")
    if rule.visitor_lead_column is not None:
        terms.append(f"{rule.visitor_lead_column} = {_LEAD}")
    if rule.visitor_session_column is not None:
        terms.append(f"{rule.visitor_session_column} = {_SESSION}")
    return " AND ".join(terms)


def protect(table: str) -> Iterator[str]:
    """The statements that put `table` behind its policies and grant what its roles may do."""
    rule = TABLES[table]
    yield f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"
    yield f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY"
    for policy in policies_of(table):
        yield policy.ddl(table)
    grants = {
        "lead_app": rule.app,
        "lead_visitor": rule.visitor,
        "lead_platform": rule.platform,
        "lead_lookup": rule.lookup,
    }
    for role, privileges in grants.items():
        for privilege in privileges:
            yield f"GRANT {privilege} ON {table} TO {role}"
