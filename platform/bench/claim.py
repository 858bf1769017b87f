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


class _RollBackError(Exception):
    """Ends a measured claim without keeping it."""


async def run(settings: Settings, *, quick: bool) -> dict[str, object]:
    """Claims in the same table before and after it grew; half of the leads are due, the others wait."""
    many, rounds = (_QUICK_MANY, _QUICK_ROUNDS) if quick else (_MANY, _ROUNDS)
    async with open_stage(settings) as stage:
        few_cost, few_plan = await _measure(stage, _FEW, rounds)
        many_cost, many_plan = await _measure(stage, many - _FEW, rounds)
    return {
        "bench": "claim",
        "batch": BATCH,
        "few": {"waiting": _FEW, **few_cost, "indexes": few_plan},
        "many": {"waiting": many, **many_cost, "indexes": many_plan},
        "ratio": round(many_cost["p50Ms"] / few_cost["p50Ms"], 2),
    }


async def _measure(stage: Stage, more: int, rounds: int) -> tuple[dict[str, float], list[str]]:
    await add_waiting_leads(stage.superuser_url, stage.tenant_id, stage.location_id, count=more, due=more // 2)
    await _claim(stage)
    seconds = [await _claim(stage) for _ in range(rounds)]
    async with stage.services.tenancy.write(Scope.service(stage.tenant_id, "bench")) as session:
        return milliseconds(seconds), await explain_claim(session, BATCH)


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
