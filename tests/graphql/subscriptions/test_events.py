"""Who gets which events, in which order, from which cursor."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from lead_orchestrator.tenancy.secrets import SecretBox
from lead_orchestrator.tenancy.tokens import Role
from tests.factories import make_lead
from tests.graphql.conftest import Franchise
from tests.graphql.subscriptions.client import Peer
from tests.graphql.subscriptions.conftest import Live

CURSOR = "subscription { leadEvents { cursor } }"


def position(cursor: str) -> int:
    return int(cursor.removeprefix("lev_"))


async def test_an_event_arrives_with_its_lead_as_it_is_now(live: Live, ours: Franchise) -> None:
    async with live.connected(ours.owner) as peer:
        await peer.subscribe()
        await peer.in_step()
        await live.happen(ours, "test.happened")
        event = await peer.event()
    assert event["kind"] == "test.happened"
    assert event["lead"] == {"id": ours.lead_id, "firstName": "Ada", "location": {"id": ours.location_id}}


async def test_events_come_in_the_order_of_their_commits(live: Live, ours: Franchise) -> None:
    async with live.connected(ours.owner) as peer:
        await peer.subscribe()
        await peer.in_step()
        for number in range(5):
            await live.happen(ours, f"test.{number}a", f"test.{number}b")
        kinds = await peer.kinds(10)
    assert kinds == [f"test.{number}{part}" for number in range(5) for part in "ab"]


async def test_transactions_that_commit_in_reverse_order_both_arrive(live: Live, ours: Franchise) -> None:
    write, scope = live.tenancy.write, ours.tenant.scope
    place, lead = ours.tenant.location, ours.lead.id
    async with live.connected(ours.owner) as peer:
        await peer.subscribe()
        await peer.in_step()
        async with write(scope) as early:
            early.record("test.early", location_id=place, lead_id=lead)
            await early.flush()
            async with write(scope) as late:
                late.record("test.late", location_id=place, lead_id=lead)
            first = await peer.event()
        second = await peer.event()
    assert [first["kind"], second["kind"]] == ["test.late", "test.early"]
    assert position(first["cursor"]) < position(second["cursor"])


async def test_a_cursor_misses_nothing_that_committed_after_it_but_began_before(live: Live, ours: Franchise) -> None:
    write, scope = live.tenancy.write, ours.tenant.scope
    place, lead = ours.tenant.location, ours.lead.id
    async with live.connected(ours.owner) as peer, write(scope) as early:
        early.record("test.early", location_id=place, lead_id=lead)
        await peer.subscribe()
        await peer.in_step()
        await live.happen(ours, "test.late")
        seen = (await peer.event())["cursor"]
    async with live.connected(ours.owner) as again:
        await again.subscribe(after=seen)
        assert await again.kinds(1) == ["test.early"]


async def test_a_transaction_that_fails_tells_nothing(live: Live, ours: Franchise) -> None:
    async with live.connected(ours.owner) as peer:
        await peer.subscribe()
        await peer.in_step()
        try:
            async with live.tenancy.write(ours.tenant.scope) as session:
                session.record("test.undone", location_id=ours.tenant.location, lead_id=ours.lead.id)
                raise LookupError
        except LookupError:
            await live.happen(ours, "test.done")
        assert await peer.kinds(1) == ["test.done"]


async def test_the_acknowledgement_has_a_cursor_to_come_back_with(live: Live, ours: Franchise) -> None:
    async with live.connected(ours.owner) as peer:
        assert peer.ack is not None
        cursor = peer.ack["cursor"]
    await live.happen(ours, "test.meanwhile")
    async with live.connected(ours.owner) as peer:
        await peer.subscribe(after=cursor)
        assert await peer.kinds(1) == ["test.meanwhile"]


async def test_a_replay_goes_on_where_the_cursor_is_and_then_lives(live: Live, ours: Franchise) -> None:
    await live.happen(ours, *(f"test.{number}" for number in range(250)))
    async with live.connected(ours.owner) as peer:
        await peer.subscribe(after="lev_0")
        everything = [await peer.event() for _ in range(251)]  # the first is the lead itself
    cursor = everything[100]["cursor"]
    async with live.connected(ours.owner) as peer:
        await peer.subscribe(after=cursor)
        assert await peer.kinds(150) == [f"test.{number}" for number in range(100, 250)]
        await live.happen(ours, "test.live")
        assert await peer.kinds(1) == ["test.live"]


async def test_who_joins_while_events_happen_gets_each_of_them_once(live: Live, ours: Franchise) -> None:
    kinds = [f"test.{number}" for number in range(60)]

    async def write() -> None:
        for kind in kinds:
            await live.happen(ours, kind)

    async def read(peer: Peer) -> list[str]:
        got = await peer.kinds(len(kinds) + 1)
        return got[1:]

    async with AsyncExitStack() as stack:
        peers = [await stack.enter_async_context(live.connected(ours.owner)) for _ in range(5)]
        writing = asyncio.create_task(write())
        readers = []
        for peer in peers:
            await peer.subscribe(after="lev_0")
            readers.append(asyncio.create_task(read(peer)))
            await live.happen(ours)  # takes its turn with the writer
        await writing
        for reader in readers:
            assert await reader == kinds
        for peer in peers:
            await peer.in_step()


async def test_what_ended_is_told_nothing_more(live: Live, ours: Franchise) -> None:
    async with live.connected(ours.owner) as peer:
        await peer.subscribe("ended")
        await peer.subscribe("kept", CURSOR)
        await peer.in_step()
        await peer.say(type="complete", id="ended")
        await peer.in_step()
        await live.happen(ours, "test.after")
        assert (await peer.hear())["id"] == "kept"
        await peer.subscribe("ended", after=peer.ack["cursor"] if peer.ack else "")
        assert (await peer.event())["kind"] == "test.after"


async def test_an_agent_gets_its_own_locations_only_whatever_it_names(
    live: Live, ours: Franchise, secret_box: SecretBox
) -> None:
    first, second = ours.tenant.locations
    there = await make_lead(live.tenancy, secret_box, ours.tenant, location=second)
    agent = live.api.token(ours.tenant.id, Role.AGENT, location_ids=[first])
    async with live.connected(agent) as peer, live.connected(ours.owner) as owner:
        for listener in (peer, owner):
            await listener.subscribe("all")
            await listener.subscribe("named", locationIds=[f"loc_{second}"], after="lev_0")
        assert (await owner.hear())["id"] == "named"  # the lead of the second location, replayed
        await peer.in_step()
        await live.happen(ours, "test.there", location=1, lead=there)
        await live.happen(ours, "test.here")
        heard = await peer.hear()
        assert (heard["id"], heard["payload"]["data"]["leadEvents"]["kind"]) == ("all", "test.here")
        await peer.in_step()
        got = [await owner.hear() for _ in range(3)]
    kinds = {(heard["id"], heard["payload"]["data"]["leadEvents"]["kind"]) for heard in got}
    assert kinds == {("all", "test.there"), ("named", "test.there"), ("all", "test.here")}


async def test_another_franchises_ids_and_cursors_open_nothing(live: Live, ours: Franchise, theirs: Franchise) -> None:
    await live.happen(theirs, *(f"test.theirs{number}" for number in range(5)))
    await live.happen(ours, "test.ours", "test.ours")
    named = [theirs.location_id]
    async with live.connected(theirs.owner) as twin:
        await twin.subscribe(locationIds=named, after="lev_2")
        assert (await twin.event())["lead"]["id"] == theirs.lead_id
    async with live.connected(ours.owner) as peer:
        await peer.subscribe("named", locationIds=named, after="lev_0")
        await peer.subscribe("cursor", after="lev_2")
        await live.happen(theirs, "test.theirs")
        await live.happen(ours, "test.last")
        kinds = []
        while "test.last" not in kinds:
            heard = await peer.hear()
            event = heard["payload"]["data"]["leadEvents"]
            assert (heard["id"], event["lead"]["id"]) == ("cursor", ours.lead_id)
            kinds.append(event["kind"])
        await peer.in_step()
    assert "test.ours" in kinds


async def test_a_cursor_ahead_of_all_events_is_refused(live: Live, ours: Franchise) -> None:
    async with live.connected(ours.owner) as peer:
        await peer.subscribe("ahead", after="lev_99999999")
        assert await peer.refusal() == "BAD_USER_INPUT"
        await peer.subscribe("fine")
        await peer.in_step()
        await live.happen(ours, "test.live")
        assert await peer.kinds(1) == ["test.live"]


async def test_equal_subscriptions_share_one_reading(live: Live, ours: Franchise, statements: list[str]) -> None:
    async with AsyncExitStack() as stack:
        peers = [await stack.enter_async_context(live.connected(ours.owner)) for _ in range(8)]
        for peer in peers:
            await peer.subscribe("new")
            await peer.subscribe("replayed", after=peer.ack["cursor"] if peer.ack else "")
            await peer.in_step()
        statements.clear()
        await live.happen(ours, "test.shared")
        for peer in peers:
            assert await peer.kinds(2) == ["test.shared"] * 2
    reads = [statement for statement in statements if "FROM lead_events" in statement]
    places = [statement for statement in reads if statement.startswith("SELECT lead_events.position,")]
    assert len(reads) - len(places) == 1, "what it is, for all of them"
    # A wake-up that comes while somebody looks where it stands makes them look again: two may wake, the bell and the look-up.
    assert len(places) in (1, 2), "where it stands"


async def test_who_only_listens_costs_one_look_up_a_second(live: Live, ours: Franchise, statements: list[str]) -> None:
    async with AsyncExitStack() as stack:
        peers = [await stack.enter_async_context(live.connected(ours.owner)) for _ in range(10)]
        for peer in peers:
            await peer.subscribe("a")
            await peer.subscribe("b", CURSOR)
            await peer.in_step()
        await live.happen(ours, "test.last")
        await peers[-1].hear()
        await peers[-1].hear()
        statements.clear()
        await until_looked_up(statements, times=2)
        assert {statement.split("(")[0] for statement in statements} == {"SELECT * FROM lookup_heads"}


async def until_looked_up(statements: list[str], *, times: int) -> None:
    async with asyncio.timeout(10):
        while sum("lookup_heads" in statement for statement in statements) < times:  # noqa: ASYNC110 - it rings no bell
            await asyncio.sleep(0.02)
