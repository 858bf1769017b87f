"""Outcomes are written in groups; what that must not change."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import IntegrityError

from lead_orchestrator.integrations.providers import Accepted, ProviderRefused, ProviderUnknown
from lead_orchestrator.leads.models import Lead
from lead_orchestrator.leads.service import locked
from lead_orchestrator.messaging.ledger import DispatchPolicy, Ledger, Outcome, Result
from tests.messaging.leads import lead_row, make_lead, touches, until
from tests.stack import Stack

UNDER_WAY = """UPDATE scheduled_messages SET status = 'SENDING', attempt = 1, body = 'Hi', lease_until = now() + interval '1 minute'
    WHERE tenant_id = :tenant AND status = 'SCHEDULED'"""
ATTEMPTS = """INSERT INTO message_logs (tenant_id, location_id, lead_id, message_id, attempt, direction, channel, address, sender,
        body, status, at)
    SELECT tenant_id, location_id, lead_id, id, 1, 'OUTBOUND', 'SMS', '', '', 'Hi', 'SENDING', app_now()
    FROM scheduled_messages WHERE tenant_id = :tenant AND status = 'SENDING'"""


async def under_way(stack: Stack, count: int) -> list[Lead]:
    """Leads whose first touch is just being sent."""
    leads = [await make_lead(stack) for _ in range(count)]
    async with stack.services.tenancy.write(stack.scope) as session:
        for statement in (UNDER_WAY, ATTEMPTS):
            await session.execute(text(statement), {"tenant": stack.tenant_id})
    return leads


async def result(stack: Stack, lead: Lead, outcome: Outcome, attempt: int = 1) -> Result:
    [message] = [row for row in await touches(stack, lead.id) if row["touch_number"] == 1]
    return Result(lead.id, message["id"], attempt, outcome)


async def record(stack: Stack, results: list[Result]) -> list[Any]:
    recorder = stack.services.recorder
    return await asyncio.gather(*(recorder.record(stack.scope, one) for one in results), return_exceptions=True)


@contextmanager
def counted(stack: Stack) -> Iterator[list[str]]:
    """The statements that the block sends."""
    sent: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        sent.append(statement)

    engine = stack.services.tenancy.engines.app.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", note)


async def test_the_number_of_statements_does_not_grow_with_the_group(stack: Stack) -> None:
    sent: dict[int, int] = {}
    for count in (2, 12):
        leads = await under_way(stack, count)
        results = [await result(stack, lead, Accepted(f"SM{lead.id}", "queued", 1)) for lead in leads]
        with counted(stack) as statements:
            assert await record(stack, results) == ["SENT"] * count
        sent[count] = len(statements)
        async with stack.services.tenancy.write(stack.scope) as session:
            await session.execute(text("UPDATE scheduled_messages SET status = 'CANCELLED'"))

    assert sent[2] == sent[12] <= 14


async def test_a_lead_that_somebody_holds_does_not_hold_up_the_others(stack: Stack) -> None:
    held, free = await under_way(stack, 2)
    results = [await result(stack, lead, Accepted(f"SM{lead.id}", "queued", 1)) for lead in (held, free)]

    async def is_written(lead: Lead) -> bool:
        return bool((await touches(stack, lead.id))[0]["status"] == "SENT")

    async with stack.services.tenancy.write(stack.scope) as session:
        await locked(session, held.id)
        recording = asyncio.create_task(record(stack, results))
        await until(lambda: is_written(free), 4)  # waiting for a lock would last 5 s
        assert not await is_written(held)

    assert await recording == ["SENT", "SENT"]
    assert (await lead_row(stack, held.id))["touches_sent"] == 1


async def test_a_result_that_cannot_be_written_takes_no_other_along(stack: Stack) -> None:
    first, second, third = await under_way(stack, 3)
    sids = {first.id: "SMsame", second.id: "SMsame", third.id: "SMother"}
    results = [await result(stack, lead, Accepted(sids[lead.id], "queued", 1)) for lead in (first, second, third)]

    answers = await record(stack, results)

    assert answers.count("SENT") == 2
    assert answers[2] == "SENT"
    assert sum(isinstance(answer, IntegrityError) for answer in answers) == 1
    assert sorted([(await lead_row(stack, lead.id))["touches_sent"] for lead in (first, second, third)]) == [0, 1, 1]


async def test_a_result_of_an_earlier_attempt_is_left_out_of_its_group(stack: Stack) -> None:
    late, timely = await under_way(stack, 2)
    results = [
        await result(stack, late, ProviderUnknown("late"), attempt=0),
        await result(stack, timely, Accepted("SMtimely", "queued", 1)),
    ]

    assert await record(stack, results) == [None, "SENT"]

    assert (await touches(stack, late.id))[0]["status"] == "SENDING"


async def test_each_outcome_of_a_group_gets_what_it_calls_for(stack: Stack) -> None:
    sent, refused, unknown, opted_out, released = await under_way(stack, 5)
    outcomes: dict[Any, Outcome] = {
        sent.id: Accepted("SM1", "queued", 2),
        refused.id: ProviderRefused("21211", "no such number"),
        unknown.id: ProviderUnknown("ReadError"),
        opted_out.id: ProviderRefused("21610", "stopped", opted_out=True),
        released.id: None,
    }
    leads = [sent, refused, unknown, opted_out, released]

    answers = await record(stack, [await result(stack, lead, outcomes[lead.id]) for lead in leads])

    assert answers == ["SENT", "FAILED", "UNKNOWN", "FAILED", "SCHEDULED"]
    logs = await stack.rows(
        "SELECT lead_id, status, provider_message_id AS sid, error_code, finished_at FROM message_logs"
    )
    found = {row["lead_id"]: (row["status"], row["sid"], row["error_code"]) for row in logs}
    assert [found[lead.id] for lead in leads] == [
        ("SENT", "SM1", None),
        ("FAILED", None, "21211"),
        ("UNKNOWN", None, None),
        ("FAILED", None, "21610"),
        ("NOT_SENT", None, None),
    ]
    assert all(row["finished_at"] for row in logs)
    planned = {lead.id: [row["touch_number"] for row in await touches(stack, lead.id)] for lead in leads}
    assert [planned[lead.id] for lead in leads] == [[1, 2], [1, 2], [1], [1, 2], [1]]
    assert (await lead_row(stack, opted_out.id))["opted_out"] == ["SMS", "WHATSAPP"]
    events = await stack.rows("SELECT lead_id FROM lead_events WHERE kind IN ('message.sent', 'message.failed')")
    assert {row["lead_id"] for row in events} == {sent.id, refused.id, opted_out.id}


async def test_what_was_handed_over_is_written_even_if_its_job_ends(stack: Stack) -> None:
    [lead] = await under_way(stack, 1)
    done = await result(stack, lead, Accepted("SM1", "queued", 1))

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(stack.services.recorder.record(stack.scope, done), 0.001)
    await stack.services.recorder.close()

    [first, second] = await touches(stack, lead.id)
    assert (first["status"], second["status"]) == ("SENT", "SCHEDULED")
    assert second["due_at"] - first["sent_at"] > timedelta(hours=20)


async def test_a_lease_does_not_run_out_while_its_result_is_being_written(stack: Stack) -> None:
    [lead] = await under_way(stack, 1)
    async with stack.services.tenancy.write(stack.scope) as session:
        await session.execute(text("UPDATE scheduled_messages SET lease_until = now() - interval '1 second'"))
    async with stack.services.tenancy.write(stack.scope) as session:
        done = await result(stack, lead, Accepted("SM1", "queued", 1))
        assert await Ledger(stack.services.leads, DispatchPolicy()).record_together(session, [done]) == {
            done.message_id: "SENT"
        }

        async with asyncio.timeout(3):  # it does not wait for the row either
            await stack.services.resolver.resolve(stack.tenant_id)

    assert (await touches(stack, lead.id))[0]["status"] == "SENT"
