"""What the thousandth franchise costs to onboard, beside the first ones, and that each reads nothing but its own."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter, process_time
from uuid import UUID

from lead_orchestrator.bench.repository import count_relations, visible
from lead_orchestrator.bench.stage import Stage, milliseconds, open_stage
from lead_orchestrator.sandbox.seed import add_company
from lead_orchestrator.settings import Settings
from lead_orchestrator.tenancy.franchise import parse_franchise
from lead_orchestrator.tenancy.sessions import Scope

__all__ = ["run"]

MANY, QUICK_MANY = 1_000, 100
SHARE = 10
WARM_UP = 20
AT_ONCE = 4


@dataclass(frozen=True)
class _Share:
    """Some of the franchises, onboarded one after the other by several at once; `cpu` is the api's and the sandbox's."""

    made: Sequence[UUID]
    each: Sequence[float]
    seconds: float
    cpu: float

    @property
    def cost(self) -> float:
        """Milliseconds of the machine's time for each franchise."""
        return round(self.seconds * 1000 / len(self.made), 2)

    @property
    def own(self) -> float:
        """Milliseconds of processor time for each franchise, without Postgres."""
        return round(self.cpu * 1000 / len(self.made), 2)


async def run(settings: Settings, *, quick: bool) -> dict[str, object]:
    """Onboards franchises, four at a time: a location with hours and bays, ShopMonkey asked, its catalog read, the touches of
    a template, the owner invited. Compares the last tenth with the first, and looks for tables and the like that were made."""
    many = QUICK_MANY if quick else MANY
    async with open_stage(settings) as stage:
        before = await count_relations(stage.superuser_url)
        await _onboard_many(stage, range(WARM_UP))
        size = many // SHARE
        shares = [
            await _onboard_many(stage, range(first, first + size)) for first in range(WARM_UP, WARM_UP + many, size)
        ]
        made = await count_relations(stage.superuser_url) - before
        seen = [await _seen(stage, tenant_id) for share in shares for tenant_id in share.made]
    first, last = shares[0], shares[-1]
    return {
        "bench": "onboarding",
        "franchises": len({tenant_id for share in shares for tenant_id in share.made}),
        "atOnce": AT_ONCE,
        "each": milliseconds([seconds for share in shares for seconds in share.each]),
        "costMs": {"first": first.cost, "last": last.cost, "all": [share.cost for share in shares]},
        "ratio": round(last.cost / first.cost, 2),
        "cpuMs": {"first": first.own, "last": last.own, "ratio": round(last.own / first.own, 2)},
        "relationsMade": made,
        "readOthersRows": sum(others for _, others in seen),
        "unlikeTheRest": len(seen) - Counter(rows for rows, _ in seen).most_common(1)[0][1],
        "seconds": round(sum(share.seconds for share in shares), 1),
    }


async def _onboard_many(stage: Stage, numbers: Sequence[int]) -> _Share:
    waiting, made, each = iter(numbers), list[UUID](), list[float]()

    async def work() -> None:
        for number in waiting:
            key, location = add_company(stage.sandbox.world, number)
            franchise = parse_franchise(_described(number, key, location))
            started = perf_counter()
            one = await stage.services.saga.onboard(
                franchise, actor="bench", key=f"bench-{number}", template_id=stage.tenant_id
            )
            each.append(perf_counter() - started)
            made.append(one.tenant_id)

    began, used = perf_counter(), process_time()
    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return _Share(made, each, perf_counter() - began, process_time() - used)


async def _seen(stage: Stage, tenant_id: UUID) -> tuple[int, int]:
    """How many rows of its own a franchise reads, and how many of others'."""
    async with stage.services.tenancy.read(Scope.service(tenant_id, "bench")) as session:
        return await visible(session)


def _described(number: int, key: str, location: str) -> dict[str, object]:
    slug = f"franchise-{number}"
    hours = [{"dayOfWeek": day, "opensAt": "09:00", "closesAt": "18:00"} for day in range(1, 7)]
    place = {
        "name": f"Franchise {number}",
        "slug": f"{slug}-main-street",
        "timezone": "America/Chicago",
        "shopmonkeyLocationId": location,
        "bays": 2,
        "hours": hours,
    }
    owner = f"owner{number}@example.com"
    return {"name": place["name"], "slug": slug, "ownerEmail": owner, "crm": {"apiKey": key}, "locations": [place]}
