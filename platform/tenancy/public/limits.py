"""How often a client's address, and the public at one shop, may call in a minute.

Each budget is a bucket that fills evenly (the generic cell rate algorithm: one moment is all there is to remember). Every
process keeps the buckets of its own callers, and Redis those of all processes together; a call has to fit into both. So a
FLUSHALL, or Redis away, leaves each process with what it has counted itself: nobody is locked out, and no flood gets through.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from math import ceil
from uuid import UUID

from lead_orchestrator.errors import RateLimitedError
from lead_orchestrator.settings import Settings
from lead_orchestrator.tenancy.public.places import Place
from lead_orchestrator.tenancy.public.tally import Redis, Tally

__all__ = ["READ", "WRITE", "PublicLimits", "Rate", "Rates", "line_of", "public_rates"]

READ, WRITE = "read", "write"
MOST_BUCKETS = 50_000
ADDRESSES_A_PLACE = 30
"""A shop is called as often as so many addresses may call together."""
_ROUNDING = 1e-9
_NETWORK = 64
"""Bits of an IPv6 address that name a line: whoever has one has 2**64 addresses behind it."""

TAKE = """
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
local each, room = tonumber(ARGV[1]), tonumber(ARGV[2])
local full_at = math.max(now, tonumber(redis.call('GET', KEYS[1])) or 0)
local wait = full_at + each - room - now
if wait > 0.001 then return math.ceil(wait) end
redis.call('SET', KEYS[1], string.format('%.3f', full_at + each), 'PX', math.ceil(full_at + each - now))
return 0
"""
"""KEYS: one bucket. ARGV: the ms that one call takes to drain, and those that the whole bucket takes. Answers with the ms until
the next call fits; 0: it fitted."""


@dataclass(frozen=True)
class Rate:
    """So many calls a minute, evenly; `at_once` of them may come together after a quiet time."""

    a_minute: int
    at_once: int

    @property
    def each(self) -> float:
        """Seconds that one call takes to drain."""
        return 60 / self.a_minute

    @property
    def room(self) -> float:
        return self.each * self.at_once


@dataclass(frozen=True)
class Rates:
    """Of one address. A write makes something or sends something; a read is all else."""

    reads: Rate
    writes: Rate

    def of(self, kind: str, times: int = 1) -> Rate:
        rate = self.writes if kind == WRITE else self.reads
        return Rate(rate.a_minute * times, rate.at_once * times)


class PublicLimits:
    """The budgets kept in `redis` and in this process."""

    def __init__(self, redis: Redis, rates: Rates, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._shared = Tally(redis, TAKE, without="limits_of_this_process_only", clock=clock)
        self._rates = rates
        self._clock = clock
        self._full_at: dict[str, float] = {}

    async def spend_by_address(self, address: str | None, kind: str) -> None:
        """Count one call of a client at this address (None: one whose address nobody knows).

        Raises:
            RateLimitedError: too many came lately.
        """
        await self.spend(f"address:{kind}:{line_of(address)}", self._rates.of(kind))

    async def spend_by_place(self, place: Place, kind: str) -> None:
        """Count one call of anybody about this shop.

        Raises:
            RateLimitedError: too many came lately.
        """
        key = f"place:{kind}:{place.tenant_id}:{place.location_id}"
        await self.spend(key, self._rates.of(kind, ADDRESSES_A_PLACE))

    async def spend_by_person(self, tenant_id: UUID, person: UUID, kind: str) -> None:
        """Count one call of whoever holds a link or a token of this person, wherever they call from.

        Raises:
            RateLimitedError: too many came lately.
        """
        await self.spend(f"person:{kind}:{tenant_id}:{person}", self._rates.of(kind))

    async def spend(self, key: str, rate: Rate) -> None:
        """Count one call by whatever `key` names; the key itself is kept nowhere.

        Raises:
            RateLimitedError: too many came lately.
        """
        key = f"lead:public:{hashlib.blake2b(key.encode(), digest_size=16).hexdigest()}"  # no address is kept
        wait = self._own_wait(key, rate) or await self._shared_wait(key, rate)
        if wait > 0:
            seconds = max(1, ceil(wait))
            message = f"more than {rate.a_minute} calls a minute: try again in {seconds} seconds"
            raise RateLimitedError(message, retry_after=seconds)

    def _own_wait(self, key: str, rate: Rate) -> float:
        """Seconds until the next call fits into this process's bucket; 0: it fitted."""
        now = self._clock()
        full_at = max(now, self._full_at.get(key, 0.0))
        wait = full_at + rate.each - rate.room - now
        if wait > _ROUNDING:
            return wait
        self._full_at[key] = full_at + rate.each
        self._make_room(now)
        return 0.0

    async def _shared_wait(self, key: str, rate: Rate) -> float:
        milliseconds = await self._shared.take(key, rate.each * 1000, rate.room * 1000)
        return 0.0 if milliseconds is None else float(milliseconds) / 1000

    def _make_room(self, now: float) -> None:
        if len(self._full_at) <= MOST_BUCKETS:
            return
        self._full_at = {key: full_at for key, full_at in self._full_at.items() if full_at > now}
        if len(self._full_at) > MOST_BUCKETS:  # a flood from everywhere: the fullest are those to be remembered
            fullest = sorted(self._full_at.items(), key=lambda entry: entry[1])[-MOST_BUCKETS // 2 :]
            self._full_at = dict(fullest)


def public_rates(settings: Settings) -> Rates:
    """As the settings say, with half of a minute's calls at once."""
    reads, writes = settings.public_reads_per_minute, settings.public_writes_per_minute
    return Rates(Rate(reads, max(1, reads // 2)), Rate(writes, max(1, writes // 2)))


def line_of(address: str | None) -> str:
    """Whose line this address is: an IPv6 network counts as one."""
    try:
        known = ip_address((address or "").partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(known, IPv6Address):
        return str(known.ipv4_mapped or int(known) >> (128 - _NETWORK))
    return str(known)
