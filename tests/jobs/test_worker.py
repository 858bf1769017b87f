from __future__ import annotations

import asyncio
import random
import secrets
import signal
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio
from redis.asyncio import Redis
from sqlalchemy import text

from lead_orchestrator.chaos.nursery import nursery
from lead_orchestrator.jobs.queue import open_queue
from lead_orchestrator.leads.ingestion import repository as inbox
from lead_orchestrator.leads.ingestion.models import EventSource
from lead_orchestrator.sandbox.seed import CLEAR_VIEW
from lead_orchestrator.tenancy.onboarding import parse_franchise
from lead_orchestrator.tenancy.sessions import Scope
from tests.database import Cluster, TestDatabase
from tests.holding import holding
from tests.jobs.processes import installed_worker
from tests.jobs.relay import Relay
from tests.messaging.leads import make_lead, touches, until
from tests.stack import Stack, franchise_file, open_stack
from tests.waiting import until_elapsed

QUICK = {"DISPATCH_INTERVAL_SECONDS": "0.3", "POLL_INTERVAL_SECONDS": "5", "LOG_LEVEL": "WARNING"}


@pytest_asyncio.fixture
async def stack(fresh_database: TestDatabase, cluster: Cluster) -> AsyncIterator[Stack]:
    async with (
        open_stack(fresh_database, cluster.redis_url, send_lease_seconds=6) as stack,
        Redis.from_url(cluster.redis_url) as redis,
    ):
        await redis.flushall()  # this test process's own Valkey: what other tests rang is not ours
        yield stack


async def quote_arrives(stack: Stack) -> str:
    """A customer asks, and ShopMonkey's webhook is stored; nobody is rung."""
    quote = await stack.quote()
    event = {
        "location_id": next(iter(stack.locations.values())),
        "source": EventSource.WEBHOOK,
        "delivery_id": secrets.token_hex(8),
        "change_key": f"order:INSERT:{quote['orderId']}:1",
        "operation": "INSERT",
        "external_id": quote["orderId"],
        "external_location_id": None,
    }
    async with stack.services.tenancy.write(stack.scope) as session:
        assert await inbox.store(session, event)
    return str(quote["phone"])


async def first_touches(stack: Stack) -> Counter[str]:
    rows = await stack.rows("SELECT status FROM scheduled_messages WHERE touch_number = 1")
    return Counter(row["status"] for row in rows)


async def one_more_text(stack: Stack) -> None:
    before = len(stack.texts())

    async def heard() -> bool:
        return len(stack.texts()) > before

    await until(heard)


async def test_killed_workers_and_a_forgetful_queue_lose_nothing_and_send_nothing_twice(
    stack: Stack, cluster: Cluster, tmp_path: Path
) -> None:
    seed = random.randrange(10**6)  # noqa: S311 - when to kill is no secret
    print(f"seed {seed}")  # noqa: T201 - shown when the test fails
    chance = random.Random(seed)  # noqa: S311 - likewise
    await stack.fault("twilio", "accept_then_drop", probability=0.3, match="POST")
    await stack.fault("twilio", "delay", probability=0.3, seconds=0.3, when="before", match="POST")
    await stack.fault("twilio", "delay", probability=0.2, seconds=0.3, when="after", match="POST")
    phones: list[str] = []
    async with (
        nursery(stack.settings, tmp_path / "log", **QUICK) as workers,
        Redis.from_url(cluster.redis_url) as redis,
    ):
        for round_number in range(18):
            worker = await workers.start()
            for _ in range(4):
                arrived = round_number < 6 and chance.random() < 0.5
                phones.append(await quote_arrives(stack) if arrived else str((await make_lead(stack)).phone))
            if round_number % 3 == 2:  # on a slow machine too some are killed at work
                await one_more_text(stack)
            await until_elapsed(chance.uniform(0.1, 0.9))
            if round_number % 6 == 3:
                await redis.flushall()
            workers.kill(worker)
        assert stack.texts(), "the kills came before any work"
        await stack.http.delete(f"{stack.sandbox.url}/faults")
        await workers.start()

        async def settled() -> bool:
            return await first_touches(stack) == {"SENT": len(phones)}

        await until(settled, 180)  # a killed worker's event is its own for half a minute

    received = Counter(message.to for message in stack.world.messages)
    assert received == Counter(phones)
    [known] = await stack.rows("SELECT count(*), count(DISTINCT phone) AS people FROM leads")
    assert (known["count"], known["people"]) == (len(phones), len(phones))


async def test_sigterm_ends_a_worker_after_the_send_that_is_under_way(stack: Stack, tmp_path: Path) -> None:
    lead = await make_lead(stack)

    async with installed_worker(stack.settings, tmp_path / "log", **QUICK, SEND_LEASE_SECONDS="60") as worker:
        async with holding(stack.world, "twilio", match="POST") as hold:
            await hold.reached()
            worker.send_signal(signal.SIGTERM)
            await until_elapsed(0.5)  # it has heard, and does not leave the call
        async with asyncio.timeout(60):
            assert await worker.wait() == 0, (tmp_path / "log").read_text()

    assert (await touches(stack, lead.id))[0]["status"] == "SENT"
    assert stack.texts(lead.phone) != []


async def test_an_idle_worker_ends_at_once_on_sigterm(stack: Stack, tmp_path: Path) -> None:
    async with installed_worker(stack.settings, tmp_path / "log", **QUICK) as worker:
        phone = await quote_arrives(stack)

        async def answered() -> bool:
            return bool(stack.texts(phone))

        await until(answered)
        worker.send_signal(signal.SIGTERM)
        async with asyncio.timeout(5):
            assert await worker.wait() == 0, (tmp_path / "log").read_text()


async def test_a_worker_outlives_its_queue(stack: Stack, cluster: Cluster, tmp_path: Path) -> None:
    async with (
        Relay.to(cluster.redis_url) as relay,
        nursery(stack.settings, tmp_path / "log", **{**QUICK, "REDIS_URL": relay.url}) as workers,
    ):
        await workers.start()
        before = await quote_arrives(stack)

        async def heard(phone: str) -> bool:
            return bool(stack.texts(phone))

        await until(lambda: heard(before))
        await relay.cut()
        meanwhile = await quote_arrives(stack)
        await until_elapsed(1.5)  # several ticks and polls find it gone
        assert not await heard(meanwhile)
        await relay.mend()
        await until(lambda: heard(meanwhile))

    assert len(stack.texts(before)) == len(stack.texts(meanwhile)) == 1


async def test_two_workers_share_the_work_and_send_nothing_twice(stack: Stack, tmp_path: Path) -> None:
    leads = [await make_lead(stack) for _ in range(60)]

    async with nursery(stack.settings, tmp_path / "log", **QUICK) as workers:
        await workers.start()
        await workers.start()

        async def settled() -> bool:
            return await first_touches(stack) == {"SENT": len(leads)}

        await until(settled)

    assert Counter(message.to for message in stack.world.messages) == Counter(str(lead.phone) for lead in leads)


async def test_jobs_of_killed_workers_do_not_hide_the_others(stack: Stack, cluster: Cluster, tmp_path: Path) -> None:
    """A killed worker's jobs stay in the queue, marked as running, for a minute."""
    async with Redis.from_url(cluster.redis_url) as redis:
        await redis.zadd("arq:queue", {f"dead{number}": number for number in range(100)})
        for number in range(100):
            await redis.psetex(f"arq:in-progress:dead{number}", 70_000, b"1")
    lead = await make_lead(stack)

    async with nursery(stack.settings, tmp_path / "log", **QUICK) as workers:
        await workers.start()

        async def answered() -> bool:
            return bool(stack.texts(lead.phone))

        await until(answered)


async def test_a_franchise_with_a_backlog_does_not_hold_up_another(
    stack: Stack, cluster: Cluster, tmp_path: Path
) -> None:
    description = parse_franchise(franchise_file(CLEAR_VIEW))
    other = await stack.services.onboarding.onboard(description, actor="tests")
    small = Stack(**{**vars(stack), "tenant_id": other.tenant_id, "locations": other.location_ids})
    await backlog(stack, 2_000)

    async with nursery(stack.settings, tmp_path / "log", **QUICK) as workers:
        await workers.start()

        async def busy() -> bool:
            return len(stack.world.messages) >= 50

        await until(busy)
        queue = await open_queue(cluster.redis_url)
        lead = await make_lead(small)
        before = len(stack.world.messages)
        await queue.due(other.tenant_id)

        async def answered() -> bool:
            return bool(stack.texts(lead.phone))

        await until(answered)
        await queue.redis.aclose()

    place = next(number for number, message in enumerate(stack.world.messages) if message.to == lead.phone)
    assert place - before < 500  # as it was sent in turns: how fast a machine wakes up decides no test
    assert place < 1_500, "the backlog was gone before the other franchise's turn came"


async def backlog(stack: Stack, count: int) -> None:
    values: dict[str, Any] = {
        "tenant": stack.tenant_id,
        "place": next(iter(stack.locations.values())),
        "count": count,
    }
    lead = """
        INSERT INTO leads (tenant_id, location_id, phone, source, enrolled_at, consented, created_at, last_activity_at)
        SELECT :tenant, :place, '+1' || 201 + n / 100 || '55501' || lpad((n % 100)::text, 2, '0'), 'API', app_now(),
          '{SMS}', app_now(), app_now() FROM generate_series(0, :count - 1) n"""
    message = """
        INSERT INTO scheduled_messages (tenant_id, location_id, lead_id, kind, channel, touch_number, due_at, created_at)
        SELECT tenant_id, location_id, id, 'TOUCH', 'SMS', 1, created_at, created_at FROM leads WHERE tenant_id = :tenant"""
    async with stack.services.tenancy.write(Scope.service(stack.tenant_id, "tests")) as session:
        await session.execute(text(lead), values)
        await session.execute(text(message), values)
