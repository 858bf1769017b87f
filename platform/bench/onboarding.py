"""What the thousandth franchise costs to onboard, beside the first ones."""

from __future__ import annotations

from statistics import mean
from time import perf_counter

from lead_orchestrator.bench.repository import count_relations
from lead_orchestrator.bench.stage import Stage, milliseconds, open_stage
from lead_orchestrator.sandbox.seed import add_company
from lead_orchestrator.settings import Settings
from lead_orchestrator.tenancy.franchise import parse_franchise

__all__ = ["onboard_many", "run"]

MANY, QUICK_MANY = 1_000, 100
SHARE = 10
WARM_UP = 10


async def run(settings: Settings, *, quick: bool) -> dict[str, object]:
    """Onboards franchises one after the other: a location with hours and bays, ShopMonkey asked, its catalog read, the touches of
    a template. Compares the last tenth with the first; neither tables nor anything else of the catalog is made for them."""
    many = QUICK_MANY if quick else MANY
    async with open_stage(settings) as stage:
        before = await count_relations(stage.superuser_url)
        await onboard_many(stage, WARM_UP, first=0)
        seconds = await onboard_many(stage, many, first=WARM_UP)
        made = await count_relations(stage.superuser_url) - before
    share = max(1, many // SHARE)
    return {
        "bench": "onboarding",
        "franchises": many,
        "first": milliseconds(seconds[:share]),
        "last": milliseconds(seconds[-share:]),
        "ratio": round(mean(seconds[-share:]) / mean(seconds[:share]), 2),
        "relationsMade": made,
        "seconds": round(sum(seconds), 1),
    }


async def onboard_many(stage: Stage, count: int, *, first: int) -> list[float]:
    """So many new franchises; the seconds that each took."""
    seconds = []
    for number in range(first, first + count):
        key, location = add_company(stage.sandbox.world, number)
        franchise = parse_franchise(_described(number, key, location))
        started = perf_counter()
        await stage.services.saga.onboard(franchise, actor="bench", key=f"bench-{number}", template_id=stage.tenant_id)
        seconds.append(perf_counter() - started)
    return seconds


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
    return {"name": f"Franchise {number}", "slug": slug, "crm": {"apiKey": key}, "locations": [place]}
