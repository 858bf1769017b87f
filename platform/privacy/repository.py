"""What is held about a lead: its own row, and every row that hangs from it by foreign keys, whatever tables there will be."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from lead_orchestrator.ids import Kind, encode
from lead_orchestrator.leads.models import Lead
from lead_orchestrator.tenancy.sessions import ReadSession, WriteSession

__all__ = ["Held", "appointment_ahead", "forget_conversations", "held_about", "outside", "remove", "remove_outside"]

# Every foreign key below leads: the column is the one that names the parent, behind the tenant and the location.
_HANGING = """
WITH RECURSIVE hanging AS (
  SELECT 'leads'::regclass::oid AS parent
  UNION
  SELECT k.conrelid FROM pg_constraint k JOIN hanging h ON k.confrelid = h.parent WHERE k.contype = 'f'
)
SELECT k.conrelid::regclass::text AS child, k.confrelid::regclass::text AS parent, a.attname AS column
FROM pg_constraint k JOIN hanging h ON k.confrelid = h.parent
JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[array_length(k.conkey, 1)]
WHERE k.contype = 'f' ORDER BY 1, 3"""

# Nonces and hashes are keys of ours, nothing about the person.
_COLUMNS = """
SELECT c.table_name, array_agg(c.column_name::text) FROM information_schema.columns c
WHERE c.table_schema = 'public' AND c.table_name = ANY (:tables) AND c.data_type <> 'bytea' GROUP BY 1"""

_KINDS = {
    "leads": Kind.LEAD,
    "appointments": Kind.APPOINTMENT,
    "chat_sessions": Kind.CHAT_SESSION,
    "chat_messages": Kind.CHAT_MESSAGE,
    "scheduled_messages": Kind.MESSAGE,
    "message_logs": Kind.MESSAGE_LOG,
}
"""Whose ids stand in the audit trail."""

# News from outside may carry the person's words until it was applied, and its id names an order or a message of theirs.
_NEWS = "external_id = ANY (:external) OR payload::text LIKE ANY (:containing)"
_STRANGERS = "lead_id IS NULL AND visitor_phone = :phone"


@dataclass
class Held:
    """The rows of each table by the table's name, each as an object by column."""

    rows: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))

    def add(self, table: str, found: Sequence[dict[str, Any]]) -> Sequence[dict[str, Any]]:
        """Returns those that were not held yet: a row may hang from two others."""
        fresh = [row for row in found if row not in self.rows[table]]
        self.rows[table] += fresh
        return fresh

    @property
    def ids(self) -> list[UUID]:
        """Of all rows that have one."""
        return [UUID(row["id"]) for rows in self.rows.values() for row in rows if "id" in row]

    @property
    def targets(self) -> list[str]:
        """The ids as the audit trail has them."""
        return [
            encode(kind, UUID(row["id"]))
            for table, kind in _KINDS.items()
            for row in self.rows.get(table, ())
            if "id" in row
        ]

    def values(self, table: str, column: str) -> list[str]:
        return [row[column] for row in self.rows.get(table, ()) if row.get(column)]


async def held_about(session: ReadSession, lead: Lead) -> Held:
    """Everything of this lead, with the conversations that somebody began under its number without confirming it."""
    keys = (await session.execute(text(_HANGING))).all()
    tables = {"leads", *(key.child for key in keys)}
    columns = {row[0]: row[1] for row in await session.execute(text(_COLUMNS), {"tables": sorted(tables)})}
    held = Held()
    waiting = [("leads", await _read(session, "leads", columns, "id = :lead", {"lead": lead.id}))]
    if lead.phone:
        begun = await _read(session, "chat_sessions", columns, _STRANGERS, {"phone": lead.phone})
        waiting.append(("chat_sessions", begun))
    while waiting:
        table, found = waiting.pop()
        ids = [UUID(row["id"]) for row in held.add(table, found) if "id" in row]
        for key in keys:
            if ids and key.parent == table:
                below = await _read(session, key.child, columns, f"{key.column} = ANY (:ids)", {"ids": ids})
                waiting.append((key.child, below))
    return held


async def outside(session: ReadSession, lead: Lead, held: Held) -> Mapping[str, list[dict[str, Any]]]:
    """What names the person without hanging from the lead: news from outside, and lines of the audit trail."""
    given = _news_of(lead, held)
    news = await session.execute(text(f"SELECT to_jsonb(e) FROM webhook_events e WHERE {_NEWS}"), given)  # noqa: S608 - ours
    lines = await session.execute(
        text(
            "SELECT to_jsonb(a) - 'salt' - 'digest' - 'hash' FROM audit_log a WHERE target = ANY (:targets) ORDER BY number"
        ),
        {"targets": held.targets},
    )
    return {"webhook_events": [row[0] for row in news], "audit_log": [row[0] for row in lines]}


def _news_of(lead: Lead, held: Held) -> Mapping[str, Sequence[str]]:
    """How news about this lead is found: by ids of orders and messages, and by the addresses in it."""
    external = {
        *held.values("lead_orders", "order_id"),
        *held.values("message_logs", "provider_message_id"),
        *held.values("scheduled_messages", "provider_message_id"),
        *held.values("appointments", "shopmonkey_appointment_id"),
    }
    addresses: Collection[str | None] = (
        lead.phone,
        lead.phone and lead.phone.lstrip("+"),
        lead.email,
        lead.whatsapp_user_id,
    )
    containing = [f"%{_plain(address)}%" for address in addresses if address]
    return {"external": sorted(external), "containing": containing}


async def remove_outside(session: WriteSession, lead: Lead, held: Held) -> None:
    """Delete the news about this lead and the keys of requests that made its rows; empty the lines of the audit trail."""
    await session.execute(text(f"DELETE FROM webhook_events WHERE {_NEWS}"), _news_of(lead, held))  # noqa: S608 - ours
    await session.execute(text("DELETE FROM idempotency_keys WHERE result_id = ANY (:ids)"), {"ids": held.ids})
    emptied = "UPDATE audit_log SET salt = NULL, source = NULL, detail = NULL WHERE target = ANY (:targets)"
    await session.execute(text(emptied), {"targets": held.targets})
    if lead.phone:
        await session.execute(text(f"DELETE FROM chat_sessions WHERE {_STRANGERS}"), {"phone": lead.phone})  # noqa: S608 - ours


def _plain(address: str) -> str:
    """As LIKE takes it."""
    return address.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


async def appointment_ahead(session: ReadSession, lead_id: UUID, now: datetime) -> datetime | None:
    """When the lead's next appointment begins, or the one that is under way began."""
    statement = """
        SELECT min(starts_at) FROM appointments
        WHERE lead_id = :lead AND status IN ('HELD', 'CONFIRMED') AND ends_at > :now"""
    begins: datetime | None = await session.scalar(text(statement), {"lead": lead_id, "now": now})
    return begins


async def remove(session: WriteSession, lead: Lead) -> None:
    """Delete the lead, and with it all that hangs from it."""
    session.expunge(lead)
    await session.execute(text("DELETE FROM leads WHERE id = :lead"), {"lead": lead.id})


async def forget_conversations(session: WriteSession) -> int:
    """Delete those in which nothing was said for as many days as the franchise keeps them; where it set none, all stay."""
    statement = """
        DELETE FROM chat_sessions s USING tenants t WHERE t.id = s.tenant_id
        AND coalesce(s.last_message_at, s.created_at) < app_now() - make_interval(days => t.conversation_retention_days)"""
    return (await session.execute(text(statement))).rowcount  # type: ignore[no-any-return,attr-defined]  # a cursor's


async def _read(
    session: ReadSession, table: str, columns: Mapping[str, Sequence[str]], where: str, given: Mapping[str, Any]
) -> list[dict[str, Any]]:
    wanted = ", ".join(f"'{column}', t.{column}" for column in columns[table])
    statement = f"SELECT jsonb_build_object({wanted}) FROM {table} t WHERE {where}"  # noqa: S608 - names of the catalog
    return [row[0] for row in await session.execute(text(statement), given)]
