from __future__ import annotations

from typing import Any

import httpx
import pytest

from lead_orchestrator.integrations.twilio.webhook import parse_status
from lead_orchestrator.sandbox.world import World
from tests.sandbox.receiver import Receiver
from tests.sandbox.wire import CUSTOMER, Twilio


async def fault(client: httpx.AsyncClient, kind: str, **changes: Any) -> None:
    answer = await client.post("/faults", json={"service": "carrier", "kind": kind, **changes})
    assert answer.status_code == 201


async def outcome(twilio: Twilio, receiver: Receiver, **fields: str) -> list[tuple[str, int | None]]:
    """Send one text and tell its statuses until the last."""
    before = len(receiver.received)
    sid = (await twilio.send(StatusCallback=f"{receiver.url}/status", **fields)).json()["sid"]
    found = [parse_status(list(one.form().items())) for one in (await receiver.until(before + 1))[before:]]
    while found[-1].status not in ("delivered", "undelivered", "failed"):
        found = [
            parse_status(list(one.form().items())) for one in (await receiver.until(before + len(found) + 1))[before:]
        ]
    assert {one.sid for one in found} == {sid}
    return [(one.status, one.error_code) for one in found]


@pytest.mark.parametrize(("kind", "code"), [("filter", 30007), ("unreachable", 30003)])
async def test_the_carrier_does_not_deliver(
    twilio: Twilio, client: httpx.AsyncClient, receiver: Receiver, kind: str, code: int
) -> None:
    await fault(client, kind, count=1)
    assert await outcome(twilio, receiver) == [("sent", None), ("undelivered", code)]
    assert await outcome(twilio, receiver) == [("sent", None), ("delivered", None)]


@pytest.mark.parametrize("match", ["free money", CUSTOMER])
async def test_a_filter_goes_by_the_text_or_the_number(
    twilio: Twilio, client: httpx.AsyncClient, receiver: Receiver, match: str
) -> None:
    await fault(client, "filter", match=match)
    filtered = await outcome(twilio, receiver, Body="Get free money now")
    passed = await outcome(twilio, receiver, Body="Your quote", To="+13105550124")
    assert (filtered[-1], passed[-1]) == (("undelivered", 30007), ("delivered", None))


async def test_a_text_that_waits_longer_than_it_is_valid_has_failed(
    twilio: Twilio, client: httpx.AsyncClient, receiver: Receiver, world: World
) -> None:
    await fault(client, "slow", seconds=1.5)

    assert await outcome(twilio, receiver, ValidityPeriod="1") == [("failed", 30036)]

    (message,) = world.messages
    shown = (await twilio.get(f"/Messages/{message.id}.json")).json()
    assert (shown["status"], shown["error_code"], shown["date_sent"]) == ("failed", 30036, None)


async def test_a_slow_carrier_delivers_what_is_valid_long_enough(
    twilio: Twilio, client: httpx.AsyncClient, receiver: Receiver, world: World
) -> None:
    await fault(client, "slow", seconds=0.3)
    assert await outcome(twilio, receiver, ValidityPeriod="60") == [("sent", None), ("delivered", None)]
    queued, sent, _ = world.messages[0].steps
    assert sent.at - queued.at == pytest.approx(0.3)


@pytest.mark.parametrize("validity", ["0", "-1", "36001", "soon"])
async def test_a_validity_out_of_range_is_refused(twilio: Twilio, world: World, validity: str) -> None:
    answer = await twilio.send(ValidityPeriod=validity)
    assert (answer.status_code, answer.json()["code"]) == (400, 21623)
    assert world.messages == []
