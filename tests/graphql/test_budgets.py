"""A caller who has spent its minute waits; nobody else does, and nobody at all without Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from redis.asyncio import Redis
from structlog.testing import capture_logs

from lead_orchestrator.graphql.budgets import Allowance, Budgets, BudgetSizes, OverBudgetError
from lead_orchestrator.tenancy.secrets import SecretBox
from lead_orchestrator.tenancy.sessions import Tenancy
from lead_orchestrator.tenancy.tokens import Claims, Role
from tests.database import Cluster
from tests.graphql.conftest import Franchise, open_api
from tests.graphql.server import Api

PLENTY = Allowance(10_000, 1_000_000)
SMALL = BudgetSizes(staff=Allowance(5, 100), visitors=PLENTY, visitor=Allowance(3, 100))


@pytest_asyncio.fixture
async def redis(cluster: Cluster) -> AsyncIterator[Redis]:
    redis = Redis.from_url(cluster.redis_url)
    yield redis
    await redis.aclose()


def claims(tenant: UUID | None = None, role: Role = Role.OWNER, *, session: UUID | None = None) -> Claims:
    now = datetime.now(UTC)
    return Claims(
        subject="tests",
        role=role,
        tenant_id=tenant or uuid4(),
        location_ids=None,
        session_id=session,
        lead_id=None,
        generation=0,
        token_id="t",
        issued_at=now,
        expires_at=now + timedelta(minutes=5),
    )


async def spent(budgets: Budgets, caller: Claims, cost: int = 1) -> int:
    """How often `caller` may ask until it is refused."""
    for number in range(100_000):
        try:
            await budgets.spend(caller, cost)
        except OverBudgetError:
            return number
    raise AssertionError("never refused")


@pytest.mark.parametrize(("cost", "times"), [(1, 5), (20, 5), (30, 3), (100, 1), (101, 0)])
async def test_requests_and_cost_are_limited(redis: Redis, cost: int, times: int) -> None:
    assert await spent(Budgets(redis, SMALL), claims(), cost) == times


async def test_a_refusal_says_when_the_budget_is_whole_again(redis: Redis) -> None:
    budgets, caller = Budgets(redis, SMALL), claims()
    await spent(budgets, caller, 30)

    with pytest.raises(OverBudgetError) as refused:
        await budgets.spend(caller, 30)

    assert 1 <= refused.value.retry_after <= 62
    reset = datetime.fromisoformat(str(refused.value.extensions["resetAt"]))
    assert timedelta(seconds=50) < reset - datetime.now(UTC) < timedelta(seconds=62)
    assert refused.value.remaining.cost == 10


async def test_what_is_left_is_said(redis: Redis) -> None:
    budgets, caller = Budgets(redis, SMALL), claims()

    left = [await budgets.spend(caller, cost) for cost in (10, 25)]

    assert [remaining and remaining.cost for remaining in left] == [90, 65]


async def test_several_processes_share_a_budget_and_never_exceed_it(redis: Redis) -> None:
    caller = claims()
    sizes = BudgetSizes(Allowance(1_000, 100_000), PLENTY, PLENTY)
    processes = [Budgets(redis, sizes) for _ in range(4)]

    async def ask(budgets: Budgets) -> int:
        return await spent(budgets, caller, 7)

    total = sum(await asyncio.gather(*(ask(budgets) for budgets in processes for _ in range(5))))

    assert 1_000 - 4 * 20 <= total <= 1_000


async def test_a_window_ends(redis: Redis) -> None:
    caller, now = claims(), 1000.0
    budgets = Budgets(redis, SMALL, clock=lambda: now)
    await spent(budgets, caller)

    now += 61
    await redis.delete(f"lead:budget:{caller.tenant_id}")  # as its expiry does

    assert await spent(budgets, caller) == 5


async def test_a_budget_expires_in_redis(redis: Redis) -> None:
    caller = claims()

    await Budgets(redis, SMALL).spend(caller, 1)

    assert 0 < await redis.pttl(f"lead:budget:{caller.tenant_id}") <= 60_000


async def test_one_franchise_cannot_starve_another(redis: Redis) -> None:
    budgets, one, other = Budgets(redis, SMALL), claims(), claims()

    await spent(budgets, one)

    assert await spent(budgets, other) == 5


async def test_a_franchise_s_own_limit_counts_and_is_asked_once_a_minute(redis: Redis) -> None:
    limited, raised, usual = claims(), claims(), claims()
    own, asked = {limited.tenant_id: 2, raised.tenant_id: 50}, list[UUID]()

    async def limits(tenant: UUID) -> int | None:
        asked.append(tenant)
        return own.get(tenant)

    budgets = Budgets(redis, SMALL, limits)

    assert [await spent(budgets, one) for one in (limited, raised, usual)] == [2, 50, 5]
    assert asked == [limited.tenant_id, raised.tenant_id, usual.tenant_id]
    assert await spent(Budgets(redis, SMALL, limits), claims(raised.tenant_id), 41) == 0, (
        "its cost grew tenfold, no more"
    )


async def test_limits_that_cannot_be_read_are_those_of_all(redis: Redis) -> None:
    async def limits(_tenant: UUID) -> int | None:
        raise TimeoutError

    with capture_logs() as logged:
        assert await spent(Budgets(redis, SMALL, limits), claims()) == 5
    assert [line["event"] for line in logged] == ["limits_unread"]


async def test_visitors_have_their_own_budgets(redis: Redis) -> None:
    budgets, tenant = Budgets(redis, SMALL), uuid4()
    visitors = [claims(tenant, Role.VISITOR, session=uuid4()) for _ in range(2)]

    assert [await spent(budgets, visitor) for visitor in visitors] == [3, 3]
    assert await spent(budgets, claims(tenant)) == 5


async def test_all_visitors_of_a_site_share_one(redis: Redis) -> None:
    budgets = Budgets(redis, BudgetSizes(PLENTY, visitors=Allowance(4, 100), visitor=Allowance(3, 100)))
    tenant = uuid4()

    taken = [await spent(budgets, claims(tenant, Role.VISITOR, session=uuid4())) for _ in range(3)]

    assert taken == [3, 1, 0]


async def test_most_requests_do_not_wait_for_redis(redis: Redis) -> None:
    budgets, caller = Budgets(redis, BudgetSizes(PLENTY, PLENTY, PLENTY)), claims()
    before = (await redis.info("commandstats"))["cmdstat_evalsha"]["calls"]

    for _ in range(1_000):
        await budgets.spend(caller, 100)

    after = (await redis.info("commandstats"))["cmdstat_evalsha"]["calls"]
    assert after - before <= 10


async def test_a_crowd_asks_redis_once(redis: Redis) -> None:
    budgets, caller = Budgets(redis, BudgetSizes(PLENTY, PLENTY, PLENTY)), claims()
    before = (await redis.info("commandstats")).get("cmdstat_evalsha", {"calls": 0})["calls"]

    await asyncio.gather(*(budgets.spend(caller, 1) for _ in range(200)))

    after = (await redis.info("commandstats"))["cmdstat_evalsha"]["calls"]
    assert after - before <= 3


async def test_without_redis_nobody_is_limited_and_few_wait() -> None:
    async with Redis.from_url("redis://127.0.0.1:1") as away:
        budgets, caller = Budgets(away, SMALL), claims()
        with capture_logs() as logged:
            left = [await budgets.spend(caller, 10) for _ in range(200)]

    assert left == [None] * 200
    assert [line["event"] for line in logged] == ["budgets_unlimited"]


async def test_a_redis_that_hangs_is_not_waited_for() -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    started = asyncio.get_running_loop().time()
    async with server, Redis.from_url(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}") as away:
        budgets, caller = Budgets(away, SMALL), claims()
        left = [await budgets.spend(caller, 10) for _ in range(50)]

    assert left == [None] * 50
    assert asyncio.get_running_loop().time() - started < 2


@pytest_asyncio.fixture
async def limited(tenancy: Tenancy, secret_box: SecretBox, redis: Redis) -> AsyncIterator[Api]:
    budgets = Budgets(redis, SMALL)
    async with open_api(tenancy, secret_box, None, development=False, budgets=budgets, any_document=False) as api:
        yield api


async def test_over_http_the_refusal_is_429(limited: Api, ours: Franchise, theirs: Franchise) -> None:
    token, other = limited.token(ours.tenant.id), limited.token(theirs.tenant.id)
    body = {"query": "{ leads { edges { node { id } } } }"}

    answers = [
        await limited.http.post("/graphql", json=body, headers={"authorization": f"Bearer {token}"}) for _ in range(5)
    ]
    another = await limited.ask(other, body["query"])

    assert [got.status_code for got in answers] == [200, 200, 200, 429, 429]
    assert [got.json()["extensions"]["cost"]["remaining"] for got in answers[:3]] == [74, 48, 22]
    refused = answers[-1]
    [error] = refused.json()["errors"]
    assert 1 <= int(refused.headers["retry-after"]) <= 62
    assert error["extensions"]["code"] == "RATE_LIMITED"
    assert error["extensions"]["retryAfter"] == int(refused.headers["retry-after"])
    assert another.status == 200


async def test_whoever_has_no_token_spends_nothing(limited: Api, ours: Franchise) -> None:
    for _ in range(10):
        assert (await limited.ask(None, "{ viewer { role } }")).codes == ["UNAUTHENTICATED"]

    assert (await limited.ask(limited.token(ours.tenant.id), "{ viewer { role } }")).status == 200
