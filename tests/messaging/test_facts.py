from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg
import pytest
from sqlalchemy import event, text
from sqlalchemy.engine import Engine

from lead_orchestrator.leads.models import MessageKind
from lead_orchestrator.messaging import repository
from lead_orchestrator.messaging.facts import gather
from tests.factories import phone_number
from tests.messaging.leads import made_message, make_lead, touches
from tests.stack import Stack


@contextmanager
def statements() -> Iterator[list[str]]:
    """Those that are made meanwhile."""
    made: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        made.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield made
    finally:
        event.remove(Engine, "before_cursor_execute", note)


@pytest.mark.parametrize("number", [1, 10])
async def test_the_facts_of_a_batch_take_five_statements_however_large_it_is(stack: Stack, number: int) -> None:
    for _ in range(number):
        await make_lead(stack)

    async with stack.services.tenancy.write(stack.scope) as session:
        due = await repository.claim_due(session, 10)
        with statements() as made:
            gathered = await gather(session, due, stack.services.secrets)

    assert gathered is not None
    assert len(gathered.facts) == number
    assert len(made) == 5


async def test_a_person_who_asked_at_two_locations_has_one_cap(stack: Stack) -> None:
    """Three leads of one person, by the number or the mail address; and somebody else's, which count for nobody here."""
    here, there = list(stack.locations.values())[:2]
    phone, email = phone_number(), "ada@example.com"
    by_phone = await make_lead(stack, phone=phone, email=None, location_id=here)
    both = await make_lead(stack, phone=phone, email=email, location_id=there)
    by_mail = await make_lead(stack, phone=None, email=email, location_id=here)
    other = await make_lead(stack)

    await stack.services.dispatcher.dispatch(stack.tenant_id, by_phone.id)
    await stack.services.dispatcher.dispatch(stack.tenant_id, by_mail.id)
    async with stack.services.tenancy.read(stack.scope) as session:
        leads = [by_phone.id, both.id, by_mail.id, other.id]
        traffic = await repository.traffic(session, leads)

    assert [len(traffic.sent.get(lead, ())) for lead in leads] == [1, 2, 1, 0]


async def test_the_daily_cap_holds_for_a_person_whichever_lead_is_written_to(stack: Stack) -> None:
    """Three times within a day, as the franchise allows, and the fourth waits though its own lead was never written to."""
    places, phone = list(stack.locations.values()), phone_number()
    lead = await make_lead(stack, phone=phone, email=None, location_id=places[0])
    for _ in range(2):
        await stack.services.dispatcher.dispatch(stack.tenant_id)
        await made_message(stack, lead, "An offer", kind=MessageKind.AD_HOC)
    await stack.services.dispatcher.dispatch(stack.tenant_id)
    sent = len(stack.texts(phone))
    again = await make_lead(stack, phone=phone, email=None, location_id=places[1])

    await stack.services.dispatcher.dispatch(stack.tenant_id)

    [touch] = await touches(stack, again.id)
    assert (sent, len(stack.texts(phone))) == (3, 3)
    assert touch["status"] == "SCHEDULED"
    assert "3 messages within a day, at most 3" in touch["decision"]


async def test_one_person_is_sent_one_message_at_a_time(stack: Stack) -> None:
    phone = phone_number()
    for place in list(stack.locations.values())[:2]:
        await make_lead(stack, phone=phone, email=None, location_id=place)

    first = await stack.services.dispatcher.dispatch(stack.tenant_id)

    assert (first.claimed, len(stack.texts(phone))) == (2, 1)


async def test_a_persons_other_leads_are_found_by_indexes_among_many(stack: Stack) -> None:
    lead = await make_lead(stack)
    async with stack.services.tenancy.write(stack.scope) as session:
        await session.execute(
            text(
                "INSERT INTO leads (tenant_id, location_id, source, phone, email, enrolled_at, created_at, last_activity_at)"
                " SELECT tenant_id, location_id, source, '+1' || 201 + n / 100 || '55501' || lpad((n % 100)::text, 2, '0'),"
                " 'lead' || n || '@example.com', now(), now(), now()"
                " FROM leads, generate_series(1, 20000) n WHERE id = :id"
            ),
            {"id": lead.id},
        )
    connection = await asyncpg.connect(stack.database.admin_url)
    await connection.execute("ANALYZE leads")
    await connection.close()

    statement = repository.TRAFFIC.params(tenant=stack.tenant_id, leads=[lead.id])

    async with stack.services.tenancy.read(stack.scope) as session:
        connection_of_app = await session.connection()
        compiled = statement.compile(dialect=connection_of_app.dialect, compile_kwargs={"literal_binds": True})
        written = str(compiled).replace(f"ARRAY['{lead.id}']", f"'{{{lead.id}}}'")  # a literal array has no type
        rows = await connection_of_app.execute(text("EXPLAIN " + written.replace(":", "\\:")))
        plan = "\n".join(row[0] for row in rows)

    assert "Seq Scan on leads" not in plan, plan
    assert "leads_phone" in plan
    assert "leads_email" in plan
