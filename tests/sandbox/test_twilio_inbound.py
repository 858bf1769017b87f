from __future__ import annotations

import httpx
import pytest

from lead_orchestrator.integrations.twilio.webhook import InboundText, parse_inbound
from lead_orchestrator.sandbox.seed import SUN_SHADE
from lead_orchestrator.sandbox.world import World
from tests.sandbox.receiver import Receiver
from tests.sandbox.wire import CUSTOMER, Twilio


@pytest.fixture
async def posted(receiver: Receiver, client: httpx.AsyncClient) -> Receiver:
    """What Twilio posts of customers' texts."""
    await client.post("/callbacks", json={"smsUrl": f"{receiver.url}/sms"})
    return receiver


async def write(client: httpx.AsyncClient, twilio: Twilio, body: str) -> None:
    answer = await client.post(f"/phones/{CUSTOMER}/texts", json={"to": twilio.number, "body": body})
    assert answer.status_code == 202


async def read(posted: Receiver, count: int = 1) -> InboundText:
    return parse_inbound(list((await posted.until(count))[-1].form().items()))


def thread(world: World) -> list[tuple[str, bool, str]]:
    return [(one.direction, one.automatic, one.body[:20]) for one in world.messages_by_customer.get(CUSTOMER, [])]


@pytest.mark.parametrize(
    "word", ["STOP", " stop\n", "StopAll", "unsubscribe", "cancel", "END", "quit", "revoke", "OPTOUT"]
)
async def test_a_stop_word_blocks_confirms_and_is_forwarded(
    twilio: Twilio, client: httpx.AsyncClient, posted: Receiver, world: World, word: str
) -> None:
    await write(client, twilio, word)

    found = await read(posted)
    assert (found.opt_out_type, found.body, found.from_number) == ("STOP", word, CUSTOMER)
    assert thread(world)[1:] == [("outbound", True, "You have successfull")]
    assert (await twilio.send()).json()["code"] == 21610
    assert (await twilio.send(From=SUN_SHADE.twilio_numbers[1])).status_code == 201


async def test_twilios_own_answer_is_no_message_of_the_account(
    twilio: Twilio, client: httpx.AsyncClient, posted: Receiver, world: World
) -> None:
    await write(client, twilio, "STOP")
    await read(posted)

    listed = (await twilio.get("/Messages.json", To=CUSTOMER)).json()["messages"]
    own = world.messages_by_customer[CUSTOMER][-1]
    assert listed == []
    assert (await twilio.get(f"/Messages/{own.id}.json")).status_code == 404
    assert (await client.get("/messages", params={"to": CUSTOMER})).json()["count"] == 0


async def test_a_second_stop_is_not_confirmed_again(
    twilio: Twilio, client: httpx.AsyncClient, posted: Receiver, world: World
) -> None:
    await write(client, twilio, "STOP")
    await write(client, twilio, "STOP")
    await posted.until(2)
    assert [automatic for _, automatic, _ in thread(world)].count(True) == 1


async def test_start_ends_the_block_of_this_number(
    twilio: Twilio, client: httpx.AsyncClient, posted: Receiver, world: World
) -> None:
    await write(client, twilio, "STOP")
    world.opt_out(CUSTOMER, SUN_SHADE.twilio_numbers[1])

    await write(client, twilio, "yes")

    assert (await read(posted, 2)).opt_out_type == "START"
    assert (await twilio.send()).status_code == 201
    assert (await twilio.send(From=SUN_SHADE.twilio_numbers[1])).json()["code"] == 21610


async def test_yes_is_an_answer_to_who_has_not_opted_out(
    twilio: Twilio, client: httpx.AsyncClient, posted: Receiver, world: World
) -> None:
    await write(client, twilio, "YES")
    assert (await read(posted)).opt_out_type is None
    assert len(thread(world)) == 1


async def test_help_is_answered(twilio: Twilio, client: httpx.AsyncClient, posted: Receiver, world: World) -> None:
    await write(client, twilio, "help")
    assert (await read(posted)).opt_out_type == "HELP"
    assert thread(world)[-1][1] is True
    assert (await twilio.send()).status_code == 201


@pytest.mark.parametrize("words", ["please stop texting me", "STOP!", "opt out", "stop it"])
async def test_plain_words_mean_nothing_to_twilio(
    twilio: Twilio, client: httpx.AsyncClient, posted: Receiver, world: World, words: str
) -> None:
    await write(client, twilio, words)
    assert (await read(posted)).opt_out_type is None
    assert len(thread(world)) == 1
    assert (await twilio.send()).status_code == 201


async def test_without_advanced_opt_out_the_field_is_missing(
    twilio: Twilio, client: httpx.AsyncClient, posted: Receiver, world: World
) -> None:
    await client.patch("/quirks", json={"advancedOptOut": False})
    await write(client, twilio, "STOP")
    assert "OptOutType" not in (await posted.until(1))[0].form()
    assert len(thread(world)) == 2


async def test_an_account_whose_opt_out_is_off_leaves_everything_to_us(
    twilio: Twilio, client: httpx.AsyncClient, posted: Receiver, world: World
) -> None:
    await client.patch("/quirks", json={"twilioOptOut": False})
    await write(client, twilio, "STOP")
    assert (await read(posted)).opt_out_type is None
    assert len(thread(world)) == 1
    assert (await twilio.send()).status_code == 201


async def test_an_answer_goes_to_the_number_that_wrote_last(
    twilio: Twilio, client: httpx.AsyncClient, posted: Receiver
) -> None:
    await twilio.send(From=SUN_SHADE.twilio_numbers[1])
    await client.post(f"/phones/{CUSTOMER}/texts", json={"body": "Hi"})
    assert (await read(posted)).to_number == SUN_SHADE.twilio_numbers[1]


@pytest.mark.parametrize(
    ("kind", "paths"), [("duplicate", ["/sms", "/sms"]), ("lose", [])]
)  # fmt: skip
async def test_inbound_texts_have_faults_of_their_own(
    twilio: Twilio, client: httpx.AsyncClient, posted: Receiver, kind: str, paths: list[str]
) -> None:
    await client.post("/faults", json={"service": "twilio_inbound", "kind": kind, "count": 1})
    await twilio.send(StatusCallback=f"{posted.url}/status")
    await write(client, twilio, "Hi")
    await posted.until(2 + len(paths))
    assert [one.path for one in posted.received if one.path == "/sms"] == paths
