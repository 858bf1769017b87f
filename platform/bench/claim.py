"""What claiming a batch costs with few and with many leads waiting."""

from __future__ import annotations

from time import perf_counter

from lead_orchestrator.bench.repository import add_waiting_leads, explain_claim
from lead_orchestrator.bench.stage import Stage, milliseconds, open_stage
from lead_orchestrator.messaging import repository
from lead_orchestrator.settings import Settings
from lead_orchestrator.tenancy.sessions import Scope

__all__ = ["run"]

BATCH = 10
_FEW, _MANY, _QUICK_MANY = 1_000, 1_000_000, 100_000
_ROUNDS, _QUICK_ROUNDS = 300, 100
_WARM_UP = 10


class _RollBackError(Exception):
    """Ends a measured claim without keeping it."""


async def run(settings: Settings, *, quick: bool) -> dict[str, object]:
    """Claims in two databases in turn, so that both meet the same machine; half of the leads are due, the others wait."""
    many, rounds = (_QUICK_MANY, _QUICK_ROUNDS) if quick else (_MANY, _ROUNDS)
    async with open_stage(settings) as small, open_stage(settings) as large:
        await _fill(small, _FEW)
        await _fill(large, many)
        seconds = [(await _claim(small), await _claim(large)) for _ in range(rounds)]
        plans = [await _plan(small), await _plan(large)]
    few_cost, many_cost = (milliseconds([pair[side] for pair in seconds]) for side in (0, 1))
    return {
        "bench": "claim",
        "batch": BATCH,
        "few": {"waiting": _FEW, **few_cost, "indexes": plans[0]},
        "many": {"waiting": many, **many_cost, "indexes": plans[1]},
        "ratio": round(many_cost["p50Ms"] / few_cost["p50Ms"], 2),
    }


async def _fill(stage: Stage, count: int) -> None:
    await add_waiting_leads(stage.superuser_url, stage.tenant_id, stage.location_id, count=count, due=count // 2)
    for _ in range(_WARM_UP):
        await _claim(stage)


async def _plan(stage: Stage) -> list[str]:
    async with stage.services.tenancy.write(Scope.service(stage.tenant_id, "bench")) as session:
        return await explain_claim(session, BATCH)


async def _claim(stage: Stage) -> float:
    started = perf_counter()
    try:
        async with stage.services.tenancy.write(Scope.service(stage.tenant_id, "bench")) as session:
            due = await repository.claim_due(session, BATCH)
            if len(due) != BATCH:
                raise RuntimeError(f"{len(due)} messages were claimed, {BATCH} are due")
            raise _RollBackError
    except _RollBackError:
        return perf_counter() - started
