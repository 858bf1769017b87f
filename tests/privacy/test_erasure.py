"""A person has what is held about them, and once erased leaves nothing behind but a keyed hash."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio
from redis.asyncio import Redis
from sqlalchemy import text

from lead_orchestrator.errors import BadInputError, NotFoundError
from lead_orchestrator.leads.models import Lead
from lead_orchestrator.leads.service import locked
from lead_orchestrator.privacy.service import erase, export
from lead_orchestrator.tenancy.audit.trail import verify
from tests.database import Cluster, TestDatabase
from tests.factories import phone_number
from tests.messaging.inbound.line import Line, open_line

NAME, MAIL, WORDS = "Zephyrine", "zephyrine.quill@example.com", "My marzipan coloured Duesenberg"
CAR = {"year": 1931, "make": "Duesenberg", "model": "Murphy"}

TABLES = "SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
HANGING = """
WITH RECURSIVE hanging AS (
  SELECT 'leads'::regclass::oid AS parent
  UNION
  SELECT k.conrelid FROM pg_constraint k JOIN hanging h ON k.confrelid = h.parent WHERE k.contype = 'f'
)
SELECT k.conrelid::regclass::text AS child, k.conname::text AS name, k.confdeltype::text AS deletes
FROM pg_constraint k JOIN hanging h ON k.confrelid = h.parent WHERE k.contype = 'f'"""
NAMING = """
SELECT c.relname::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND a.attname IN ('lead_id', 'session_id', 'appointment_id')"""

AHEAD = text("""
INSERT INTO appointments (tenant_id, location_id, lead_id, bay, during, status, currency, sync_status, created_at)
SELECT tenant_id, location_id, id, 1, tstzrange(app_now(), app_now() + interval '1 hour'),
  'CONFIRMED', 'USD', 'SYNCED', now() FROM leads WHERE id = :lead""")


@pytest_asyncio.fixture
async def line(fresh_database: TestDatabase, cluster: Cluster) -> AsyncIterator[Line]:
    async with open_line(fresh_database, cluster.redis_url) as line:
        yield line


async def _person(line: Line) -> Lead:
    """Somebody who came by a quote in ShopMonkey, was written to, answered on two channels, and is in every kind of row."""
    stack, services = line.stack, line.stack.services
    quote = await stack.quote(firstName=NAME, lastName="Quill", email=MAIL, vehicle=CAR)
    poll = await services.polling.poll(stack.tenant_id)
    assert poll is not None
    [processed] = [one for one in await services.ingestion.sweep(stack.tenant_id) if one.lead_id]
    await services.dispatcher.dispatch(stack.tenant_id, processed.lead_id)
    await line.says(quote["phone"], WORDS)
    async with services.tenancy.write(stack.scope) as session:
        lead = await locked(session, UUID(str(processed.lead_id)))
        await services.leads.pause(session, lead, "t")
        session.audit("lead.corrected", target=f"lead_{lead.id}", detail={"note": WORDS})
        chat = {"tenant": lead.tenant_id, "location": lead.location_id, "phone": lead.phone, "name": NAME}
        await session.execute(
            text(
                "INSERT INTO chat_sessions (tenant_id, location_id, channel, state, visitor_phone, visitor_name,"
                " created_at) VALUES (:tenant, :location, 'WEB_CHAT', 'ASSISTANT', :phone, :name, now())"
            ),
            chat,
        )
    return lead


async def _traces(database: TestDatabase, redis_url: str, *needles: str) -> list[str]:
    """Every table and every key of the queue and the caches in which one of these stands."""
    admin = await asyncpg.connect(database.admin_url)
    found = []
    for [table] in await admin.fetch(TABLES):
        for [row] in await admin.fetch(f"SELECT to_jsonb(t)::text FROM {table} t"):  # noqa: S608 - the catalog's names
            found += [f"{table}: {needle}" for needle in needles if needle.lower() in row.lower()]
    await admin.close()
    async with Redis.from_url(redis_url) as redis:
        async for key in redis.scan_iter():
            held = await redis.dump(key) or b""
            found += [f"redis {key!r}" for needle in needles if needle.encode() in key + held]
    return sorted(set(found))


async def _erase(line: Line, lead: Lead) -> None:
    async with line.stack.services.tenancy.write(line.stack.scope) as session:
        await erase(session, line.stack.services.leads, lead.id)


async def _exported(line: Line, lead: Lead) -> dict[str, Any]:
    async with line.stack.services.tenancy.write(line.stack.scope) as session:
        return await export(session, await locked(session, lead.id))


async def test_an_erased_person_is_nowhere_and_others_are_as_they_were(
    line: Line, fresh_database: TestDatabase, cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    other = await line.lead()
    lead = await _person(line)
    needles = [NAME, MAIL, WORDS, "Duesenberg", str(lead.phone), str(lead.phone)[1:]]
    before = await _exported(line, other)
    assert len(await _traces(fresh_database, cluster.redis_url, *needles)) > 8

    await _erase(line, lead)

    assert await _traces(fresh_database, cluster.redis_url, *needles) == []
    printed = capsys.readouterr()
    assert [needle for needle in needles if needle in printed.out + printed.err] == []
    after = await _exported(line, other)
    assert {**after, "audit_log": None} == {**before, "audit_log": None}
    async with line.stack.services.tenancy.read(line.stack.scope) as session:
        trail = await verify(session)
    assert trail.broken_at is None
    assert trail.erased > 0


async def test_what_is_held_is_exported_whole_and_without_keys_of_ours(line: Line) -> None:
    lead = await _person(line)

    exported = await _exported(line, lead)

    told = json.dumps(exported)
    assert all(needle in told for needle in (NAME, MAIL, WORDS, "Duesenberg", str(lead.phone)))
    assert {"leads", "lead_orders", "lead_events", "consents", "message_logs", "scheduled_messages", "chat_sessions",
            "chat_messages", "webhook_events", "audit_log"} <= {table for table, rows in exported.items() if rows}  # fmt: skip
    assert not [word for word in ("nonce", "hash", "salt", "digest") if word in told]
    lines = await line.stack.rows("SELECT actor FROM audit_log WHERE action = 'lead.exported'")
    assert len(lines) == 1


async def _polled(line: Line) -> None:
    """What ShopMonkey has now, taken in."""
    async with line.stack.services.tenancy.write(line.stack.scope) as session:
        await session.execute(text("UPDATE tenant_crm_configs SET next_poll_at = '-infinity'"))
    await line.stack.services.polling.poll(line.stack.tenant_id)
    await line.stack.services.ingestion.sweep(line.stack.tenant_id)


async def test_the_crms_order_brings_nobody_back(line: Line) -> None:
    lead = await _person(line)
    await line.stack.wind(timedelta(days=2))  # past the order's date, by whichever clock
    await _erase(line, lead)

    await _polled(line)

    assert await line.stack.rows("SELECT id FROM leads") == []
    outcomes = [row["outcome"] for row in await line.events()]
    assert "its customer was erased after asking this" in outcomes


async def test_who_asks_again_is_known_again_and_not_written_to(line: Line) -> None:
    stack = line.stack
    lead = await _person(line)
    await stack.wind(timedelta(days=-2))
    await _erase(line, lead)
    texts = len(stack.texts())

    await stack.quote(firstName=NAME, phone=lead.phone, email=MAIL)
    await _polled(line)
    await stack.services.dispatcher.dispatch(stack.tenant_id)

    leads = await stack.rows("SELECT opted_out FROM leads")
    assert [set(row["opted_out"]) for row in leads] == [{"SMS", "WHATSAPP", "EMAIL"}]
    assert len(stack.texts()) == texts


async def test_with_an_appointment_ahead_nothing_is_erased(line: Line) -> None:
    lead = await line.lead()
    async with line.stack.services.tenancy.write(line.stack.scope) as session:
        await session.execute(AHEAD, {"lead": lead.id})

    with pytest.raises(BadInputError, match="cancel it first") as refused:
        await _erase(line, lead)

    assert refused.value.code == "HAS_APPOINTMENT"
    assert len(await line.stack.rows("SELECT id FROM leads")) == 1


async def test_somebody_who_is_not_there_is_not_erased(line: Line) -> None:
    lead = await line.lead()
    await _erase(line, lead)

    with pytest.raises(NotFoundError):
        await _erase(line, lead)


async def test_all_that_hangs_from_a_lead_goes_with_it(database: TestDatabase) -> None:
    """A table that names a lead, a conversation or an appointment has to have a key that deletes."""
    admin = await asyncpg.connect(database.admin_url)
    keys, naming = await admin.fetch(HANGING), await admin.fetch(NAMING)
    await admin.close()

    assert [f"{key['child']}.{key['name']}" for key in keys if key["deletes"] != "c"] == []
    assert {row[0] for row in naming} <= {key["child"] for key in keys}


async def test_numbers_of_others_that_begin_alike_are_kept(line: Line) -> None:
    longer = phone_number()
    await line.says(longer, "Hello there")
    lead = await line.lead()

    await _erase(line, lead)

    assert len(await line.events()) == 1
