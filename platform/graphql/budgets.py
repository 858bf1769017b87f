"""How many requests and how much cost a franchise, and each of its visitors, may spend in a minute.

Redis holds what is left of each minute; a process takes a fiftieth of a budget at a time and spends it by itself, so that a
request seldom waits for Redis and no budget is ever exceeded, however many processes there are. What a process took and did
not spend is lost with the minute. Staff and visitors of a franchise have budgets of their own: neither can starve the other.
Without Redis nothing is limited: a limiter must not stop the product. (The public's limits, in `tenancy.public.limits`, fill
evenly and know one amount; here two amounts are taken together, and clients are told when all of it is back.)
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError

from lead_orchestrator.errors import RateLimitedError
from lead_orchestrator.log import get_logger
from lead_orchestrator.settings import Settings
from lead_orchestrator.tenancy.public.tally import Redis, Tally
from lead_orchestrator.tenancy.tokens import Claims, Role

__all__ = ["Allowance", "BudgetSizes", "Budgets", "Limits", "OverBudgetError", "Remaining", "budget_sizes"]

_log = get_logger(__name__)

WINDOW = 60.0
SHARES = 50
MOST_LEASES = 20_000
SAME_WINDOW = 5.0

Limits = Callable[[UUID], Awaitable[int | None]]

TAKE = """
local requests, cost = tonumber(ARGV[1]), tonumber(ARGV[2])
local used = redis.call('HMGET', KEYS[1], 'requests', 'cost')
local left_requests, left_cost = requests - (tonumber(used[1]) or 0), cost - (tonumber(used[2]) or 0)
local got_requests = math.max(0, math.min(left_requests, tonumber(ARGV[3])))
local got_cost = math.max(0, math.min(left_cost, tonumber(ARGV[4])))
if got_requests < tonumber(ARGV[5]) or got_cost < tonumber(ARGV[6]) then got_requests, got_cost = 0, 0 end
if got_requests + got_cost > 0 then
  redis.call('HINCRBY', KEYS[1], 'requests', got_requests)
  redis.call('HINCRBY', KEYS[1], 'cost', got_cost)
end
local ttl = redis.call('PTTL', KEYS[1])
if ttl < 0 then
  ttl = tonumber(ARGV[7])
  redis.call('PEXPIRE', KEYS[1], ttl)
end
return {got_requests, got_cost, left_cost - got_cost, ttl}
"""
"""KEYS: one budget. ARGV: its requests and cost in a window, the requests and cost to take, the least of both that is of use,
the window in ms. Answers with what was taken (0, 0: too little is left), the cost that is left to others, and ms to its end."""


@dataclass(frozen=True)
class Allowance:
    """Of one minute."""

    requests: int
    cost: int


@dataclass(frozen=True)
class BudgetSizes:
    """`staff`: all staff of a franchise together. `visitors`: all its visitors together. `visitor`: each of them."""

    staff: Allowance
    visitors: Allowance
    visitor: Allowance


VISITORS = Allowance(requests=12_000, cost=200_000)
VISITOR = Allowance(requests=120, cost=10_000)


def budget_sizes(settings: Settings) -> BudgetSizes:
    """Of every franchise."""
    staff = Allowance(settings.api_requests_per_minute, settings.api_cost_per_minute)
    return BudgetSizes(staff, VISITORS, VISITOR)


class Remaining(NamedTuple):
    """The cost that is left of the minute, as far as this process knows, and when it is whole again (RFC 3339)."""

    cost: int
    reset_at: str


class OverBudgetError(RateLimitedError):
    """The budget of this minute is spent."""

    def __init__(self, whose: str, lease: _Lease, now: float) -> None:
        seconds = max(1, round(lease.ends - now + 0.5))
        super().__init__(
            f"{whose} may spend {lease.allowance.requests} requests and {lease.allowance.cost} objects a minute, and has: "
            f"ask again in {seconds} seconds, for less at a time",
            retry_after=seconds,
        )
        self.remaining = lease.remaining
        self.extensions = {"retryAfter": seconds, "resetAt": lease.reset_at}


@dataclass
class _Lease:
    """What this process took of one budget until `ends` (monotonic); `others` is the cost it left in Redis.

    `turn` is held by whoever asks Redis for more: the others wait for what it brings.
    """

    allowance: Allowance
    requests: int = 0
    cost: int = 0
    others: int = 0
    ends: float = 0.0
    reset_at: str = ""
    refused_from: int = 0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    def spend(self, cost: int) -> bool:
        if self.requests < 1 or self.cost < cost:
            return False
        self.requests -= 1
        self.cost -= cost
        return True

    def add(self, requests: int, cost: int, others: int, ends: float, reset_at: str) -> None:
        """A share that Redis gave."""
        if ends > self.ends + SAME_WINDOW:  # what is left of another minute is not carried over
            self.requests = self.cost = self.refused_from = 0
        self.requests += requests
        self.cost += cost
        self.others, self.ends, self.reset_at = others, ends, reset_at

    @property
    def remaining(self) -> Remaining:
        return Remaining(self.cost + self.others, self.reset_at)


class Budgets:
    """Spends the budgets kept in `redis`.

    `limits` tells a franchise's own number of requests a minute, or None; it is asked once in each minute.
    """

    def __init__(
        self,
        redis: Redis,
        sizes: BudgetSizes,
        limits: Limits | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._shared = Tally(redis, TAKE, without="budgets_unlimited", clock=clock)
        self._sizes = sizes
        self._limits = limits
        self._clock = clock
        self._wall = wall
        self._leases: dict[str, _Lease] = {}

    async def spend(self, claims: Claims, cost: int) -> Remaining | None:
        """Take one request of `cost` from the caller's budgets; what is left of the narrowest, None if Redis is away.

        Raises:
            OverBudgetError: too little is left in this minute; nothing was taken of the budget that lacks.
        """
        cost = max(1, cost)
        if claims.role is not Role.VISITOR:
            return await self._spend(
                f"lead:budget:{claims.tenant_id}", "your franchise", self._sizes.staff, cost, claims
            )
        left = [await self._spend(*budget, cost) for budget in self._of_visitor(claims)]
        known = [remaining for remaining in left if remaining]
        return min(known, key=lambda remaining: remaining.cost) if known else None

    def _of_visitor(self, claims: Claims) -> Sequence[tuple[str, str, Allowance]]:
        tenant = claims.tenant_id
        visitor = claims.session_id or claims.lead_id or claims.subject
        return (
            (f"lead:budget:{tenant}:visitor:{visitor}", "a visitor", self._sizes.visitor),
            (f"lead:budget:{tenant}:visitors", "all visitors together", self._sizes.visitors),
        )

    async def _spend(
        self, key: str, whose: str, allowance: Allowance, cost: int, staff: Claims | None = None
    ) -> Remaining | None:
        lease = self._current(key)
        if lease is None and staff is not None:
            allowance = await self._own(staff, allowance)
            lease = self._current(key)  # somebody else may have begun the minute meanwhile
        if lease is None:
            now = self._clock()
            lease = self._leases[key] = _Lease(allowance, ends=now + WINDOW)
            self._make_room(now)
        if lease.spend(cost):
            return lease.remaining
        async with lease.turn:
            return await self._spend_more(key, whose, lease, cost)

    def _current(self, key: str) -> _Lease | None:
        lease = self._leases.get(key)
        return lease if lease is not None and lease.ends > self._clock() else None

    async def _own(self, staff: Claims, usual: Allowance) -> Allowance:
        """What this franchise's staff may spend; its cost is limited in proportion to its requests."""
        if self._limits is None or staff.tenant_id is None:
            return usual
        try:
            requests = await self._limits(staff.tenant_id)
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            _log.warning("limits_unread", reason=type(error).__name__)
            return usual
        if requests is None:
            return usual
        return Allowance(requests, max(1, usual.cost * requests // usual.requests))

    async def _spend_more(self, key: str, whose: str, lease: _Lease, cost: int) -> Remaining | None:
        if not lease.spend(cost):
            if lease.refused_from and cost >= lease.refused_from:
                raise OverBudgetError(whose, lease, self._clock())
            if not await self._refill(key, lease, cost):
                return None
            if not lease.spend(cost):
                lease.refused_from = cost if lease.requests else 1
                raise OverBudgetError(whose, lease, self._clock())
        return lease.remaining

    async def _refill(self, key: str, lease: _Lease, cost: int) -> bool:
        """Take another share, or as much as `cost` needs; False while Redis is away."""
        whole = lease.allowance
        wanted = [max(1, whole.requests // SHARES), max(cost, whole.cost // SHARES)]
        least = [0 if lease.requests else 1, max(0, cost - lease.cost)]
        arguments = (whole.requests, whole.cost, *wanted, *least, int(WINDOW * 1000))
        taken = await self._shared.take(key, *arguments)
        if taken is None:
            return False
        requests, objects, others, milliseconds = taken
        seconds = milliseconds / 1000
        reset_at = datetime.fromtimestamp(self._wall() + seconds + 1, UTC).isoformat(timespec="seconds")
        lease.add(requests, objects, others, self._clock() + seconds, reset_at)
        return True

    def _make_room(self, now: float) -> None:
        if len(self._leases) <= MOST_LEASES:
            return
        alive = [(key, lease) for key, lease in self._leases.items() if lease.ends > now]
        self._leases = dict(alive[-MOST_LEASES // 2 :])
