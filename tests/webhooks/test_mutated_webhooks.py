"""Five thousand webhooks that no honest sender posts, and what they must leave behind: nothing of their own."""

from __future__ import annotations

import asyncio
import copy
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from lead_orchestrator.sandbox.world import Row
from tests.factories import phone_number
from tests.leads.ingestion.shop import Outside, Shop, open_shop
from tests.webhooks.mutations import MUTATIONS, Genuine, Post, mutated
from tests.webhooks.server import WebhookServer, serve_webhook

POSTS = 5_000
COPIES = 3  # tenants with the same orders, each of which hears of them in another order
AT_ONCE = 20
LATER: tuple[dict[str, Any], ...] = (
    {},
    {"authorized": True},
    {"appointmentDates": ["2026-12-01T18:00:00.000Z"]},
    {"invoiced": True},
    {"paid": True},
    {"deleted": True},
    {"messageCount": 2},
    {"gone": True},
)
T = TypeVar("T")


@dataclass(frozen=True)
class Story:
    """The same orders before and after: `early` ones are told of while they are quotes, the others only afterwards."""

    before: dict[str, Row]
    after: dict[str, Row]
    customers: dict[str, Row]
    early: frozenset[str]


async def test_mutated_webhooks_forge_nothing_and_every_order_has_one_effect(outside: Outside) -> None:
    chance = random.Random(20261)  # noqa: S311 - the same posts in every run
    services = outside.services
    story = await write_story(outside, chance)
    copies = [await open_copy(outside, story) for _ in range(COPIES)]
    rival = await open_shop(outside)
    answers: list[tuple[Post, int]] = []

    async with serve_webhook(services.tenancy, services.lookups, services.secrets) as server:
        for number, shop in enumerate(copies):
            share = POSTS // COPIES + (number < POSTS % COPIES)
            first = posts(chance, shop, rival, story.before, story.early, share // 2)
            answers += await deliver(server, first)
            await process_everything(shop, chance)
            tell_the_rest(shop, story)
            last = posts(chance, shop, rival, story.after, story.after.keys(), share - len(first))
            answers += await deliver(server, last)
            await process_everything(shop, chance)
    await process_everything(rival, chance)

    # no server error, and each mutation is answered as it should be
    assert len(answers) == POSTS
    assert [status for _, status in answers if status >= 500] == []
    wrong = Counter((post.kind, status) for post, status in answers if status not in post.answers)
    assert not wrong
    assert {post.kind for post, _ in answers} == set(MUTATIONS)

    # nothing of what was refused is stored
    refused = {post.headers["webhook-id"] for post, status in answers if status != 202 and "webhook-id" in post.headers}
    for shop in (*copies, rival):
        stored = {row["delivery_id"] for row in await shop.rows("SELECT delivery_id FROM webhook_events")}
        assert stored
        assert stored.isdisjoint(refused)

    # no forged lead: the rival has none, and every order of a lead exists and was a quote when it was told of
    assert await rival.leads() == []
    for shop in copies:
        linked = await shop.rows("SELECT order_id FROM lead_orders")
        assert {row["order_id"] for row in linked} == expected_orders(story)
        assert len(linked) == len(expected_orders(story))

    # the same final state, in whichever order it was heard
    states = [await final_state(shop) for shop in copies]
    assert states[0] == states[1] == states[2]
    assert {status for status, *_ in states[0].values()} == {"NEW", "BOOKED", "WON", "LOST"}


def expected_orders(story: Story) -> set[str]:
    """Orders told of early were quotes then; the others count if they still are."""
    late = {
        order_id
        for order_id, row in story.after.items()
        if order_id not in story.early
        and not any(row[name] for name in ("authorized", "appointmentDates", "invoiced"))
        and not any(row[name] for name in ("paid", "deleted", "messageCount"))
    }
    return set(story.early & story.before.keys()) | late


async def write_story(outside: Outside, chance: random.Random) -> Story:
    """96 orders of 72 people: each ends in one of the later states; a third of the people ask twice."""
    author = await open_shop(outside)
    people = [phone_number() for _ in range(72)]
    for number, phone in enumerate(people + people[:24]):
        await author.quote(phone=phone, email=f"ada{number % 72}@example.com", vehicle={"make": "Honda"})
    before = copy.deepcopy(author.company.orders)
    after = copy.deepcopy(before)
    ordered = sorted(after, key=lambda order_id: int(after[order_id]["number"]))
    late = {
        *ordered[72:84],
        *chance.sample(ordered[:72], 12),
    }  # a second quote may be heard of before the first one's end
    for number, order_id in enumerate(ordered):
        row = after[order_id]
        changes = LATER[number % len(LATER) if number < 72 else (number - 72) // len(LATER)]
        if changes.get("gone") and order_id not in late:
            del after[order_id]
        elif changes and not changes.get("gone"):
            row.update(changes, updatedDate="2030-01-01T00:00:00.000Z", meta={"version": 10_000 + number})
    return Story(before, after, copy.deepcopy(author.company.customers), frozenset(before) - late)


async def open_copy(outside: Outside, story: Story) -> Shop:
    """A tenant whose company has the story's orders as they were before."""
    shop = await open_shop(outside)
    [location] = shop.tenant.shopmonkey_locations
    for rows, theirs in ((story.before, shop.company.orders), (story.customers, shop.company.customers)):
        theirs.update(copy.deepcopy(rows))
    for order in shop.company.orders.values():
        order.update(locationId=location, vehicleId=None)
    return shop


def tell_the_rest(shop: Shop, story: Story) -> None:
    """At ShopMonkey the orders become what they are afterwards."""
    [location] = shop.tenant.shopmonkey_locations
    shop.company.orders.clear()
    shop.company.orders.update(copy.deepcopy(story.after))
    for order in shop.company.orders.values():
        order.update(locationId=location, vehicleId=None)


def posts(
    chance: random.Random, shop: Shop, rival: Shop, rows: dict[str, Row], told: Iterable[str], count: int
) -> list[Post]:
    """`count` posts in a random order: each order's genuine webhook once, else mutations of them."""
    [location], [other] = shop.tenant.shopmonkey_locations, rival.tenant.shopmonkey_locations
    genuine = [
        Genuine(
            {
                "apiVersion": "v3",
                "operation": "UPDATE",
                "table": "order",
                "data": {**rows[key], "locationId": location, "complaint": "Zoë's window"},
            },
            shop.tenant.webhook_secret,
            rival.tenant.webhook_secret,
            other,
        )
        for key in sorted(told)
    ]
    made = [Post("intact", *intact) for intact in (_intact(webhook) for webhook in genuine)]
    made += [mutated(chance, chance.choice(genuine)) for _ in range(count - len(made))]
    chance.shuffle(made)
    return made


def _intact(webhook: Genuine) -> tuple[bytes, dict[str, str], frozenset[int]]:
    body, headers, answers = MUTATIONS["intact"](random.Random(0), webhook)  # noqa: S311 - not used
    return body, dict(headers), frozenset(answers)


async def deliver(server: WebhookServer, made: Sequence[Post]) -> list[tuple[Post, int]]:
    async def one(post: Post) -> tuple[Post, int]:
        return post, (await server.post(post.body, post.headers)).status_code

    return await at_once(AT_ONCE, one, made)


async def process_everything(shop: Shop, chance: random.Random) -> None:
    """Every stored event, in a random order, several at a time; what was put off is tried until nothing waits."""
    waiting = "SELECT id FROM webhook_events WHERE status = 'RECEIVED' ORDER BY id"
    async with asyncio.timeout(60):
        while events := [row["id"] for row in await shop.rows(waiting)]:
            chance.shuffle(events)

            async def one(event_id: UUID) -> None:
                await shop.services.ingestion.process(shop.tenant.id, event_id)

            await at_once(6, one, events)
            await shop.write("UPDATE webhook_events SET next_attempt_at = now() WHERE status = 'RECEIVED'")
    assert await shop.rows("SELECT outcome, error FROM webhook_events WHERE status = 'FAILED'") == []


R = TypeVar("R")


async def at_once(limit: int, work: Callable[[T], Awaitable[R]], items: Iterable[T]) -> list[R]:
    """`work` on every item, at most `limit` at a time."""
    places = asyncio.Semaphore(limit)

    async def one(item: T) -> R:
        async with places:
            return await work(item)

    return list(await asyncio.gather(*(one(item) for item in items)))


async def final_state(shop: Shop) -> dict[str, tuple[Any, ...]]:
    """By phone number: status, paused, enrolments, orders with their states, and touches."""
    statement = """
        SELECT l.phone, l.email, l.status, l.touches_paused, l.enrolment, l.consented, l.opted_out,
          (SELECT array_agg(o.order_id || ' ' || o.state || ' ' || o.version ORDER BY o.order_id)
             FROM lead_orders o WHERE o.lead_id = l.id) AS orders,
          (SELECT array_agg(m.enrolment || '/' || m.touch_number || ' ' || m.status ORDER BY m.enrolment, m.touch_number)
             FROM scheduled_messages m WHERE m.lead_id = l.id) AS touches,
          (SELECT count(*) FROM consents c WHERE c.lead_id = l.id) AS consents
        FROM leads l"""
    rows = await shop.rows(statement)
    assert len({row["phone"] for row in rows}) == len(rows)  # one lead a person
    return {row["phone"]: (row["status"], *list(row.values())[3:], row["email"]) for row in rows}
