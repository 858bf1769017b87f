"""`lead-orchestrator bench`, `chaos` and `eval`: each runs in an installation of its own, thrown away at its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.table import Table

from lead_orchestrator.bench import abuse as bench_abuse
from lead_orchestrator.bench import booking as bench_booking
from lead_orchestrator.bench import chat as bench_chat
from lead_orchestrator.bench import claim as bench_claim
from lead_orchestrator.bench import dispatch as bench_dispatch
from lead_orchestrator.bench import evaluation as bench_evaluation
from lead_orchestrator.bench import fanout as bench_fanout
from lead_orchestrator.bench import graphql as bench_graphql
from lead_orchestrator.bench import onboarding as bench_onboarding
from lead_orchestrator.bench import report as bench_report
from lead_orchestrator.bench import slots as bench_slots
from lead_orchestrator.bench import webhook as bench_webhook
from lead_orchestrator.chaos import booking as chaos_booking
from lead_orchestrator.chaos import chat as chaos_chat
from lead_orchestrator.chaos import dispatch as chaos_dispatch
from lead_orchestrator.cli.console import AsJson, out, print_json
from lead_orchestrator.log import configure_logging
from lead_orchestrator.settings import load_settings

__all__ = ["BENCHES", "CHAOS", "BenchName", "ChaosName", "bench", "chaos", "evaluate"]

Run = Callable[..., Coroutine[Any, Any, dict[str, object]]]

BENCHES: Mapping[str, Run] = {
    "abuse": bench_abuse.run,
    "booking": bench_booking.run,
    "chat": bench_chat.run,
    "claim": bench_claim.run,
    "dispatch": bench_dispatch.run,
    "fanout": bench_fanout.run,
    "graphql": bench_graphql.run,
    "onboarding": bench_onboarding.run,
    "report": bench_report.run,
    "slots": bench_slots.run,
    "webhook": bench_webhook.run,
}


class BenchName(StrEnum):
    ALL = "all"
    ABUSE = "abuse"
    BOOKING = "booking"
    CHAT = "chat"
    CLAIM = "claim"
    DISPATCH = "dispatch"
    FANOUT = "fanout"
    GRAPHQL = "graphql"
    ONBOARDING = "onboarding"
    REPORT = "report"
    SLOTS = "slots"
    WEBHOOK = "webhook"


CHAOS: Mapping[str, Run] = {
    "booking": chaos_booking.run,
    "chat": chaos_chat.run,
    "dispatch": chaos_dispatch.run,
}


class ChaosName(StrEnum):
    ALL = "all"
    BOOKING = "booking"
    CHAT = "chat"
    DISPATCH = "dispatch"


def bench(
    name: Annotated[BenchName, typer.Argument(help="Which one.")],
    quick: Annotated[bool, typer.Option("--quick", help="A short run.")] = False,
    as_json: AsJson = False,
) -> None:
    """Measure in a throw-away database; the last line with --json is one JSON object a benchmark."""
    _run_each(BENCHES, name.value, quick=quick, as_json=as_json)


def chaos(
    name: Annotated[ChaosName, typer.Argument(help="What to break.")],
    quick: Annotated[bool, typer.Option("--quick", help="A short run.")] = False,
    as_json: AsJson = False,
) -> None:
    """Break things in a throw-away installation and count what was lost; exit 1 if anything was, or was said twice."""
    results = _run_each(CHAOS, name.value, quick=quick, as_json=as_json)
    raise SystemExit(any(result["lost"] or result["duplicates"] or result["unresolved"] for result in results))


def evaluate(
    quick: Annotated[bool, typer.Option("--quick", help="Every fourth conversation.")] = False,
    as_json: AsJson = False,
) -> None:
    """Hold 50 conversations with the assistant: by the model of OPENAI_API_KEY, else the sandbox's.

    Exit 1 if one went astray, or if the guard kept back too much of what was good.
    """
    (result,) = _run_each({"assistant": bench_evaluation.evaluate}, "assistant", quick=quick, as_json=as_json)
    raise SystemExit(not result["passed"])


def _run_each(runs: Mapping[str, Run], name: str, *, quick: bool, as_json: bool) -> list[dict[str, object]]:
    settings, results = load_settings(), []
    configure_logging("ERROR")
    for each in runs if name == "all" else [name]:
        result = asyncio.run(runs[each](settings, quick=quick))
        results.append(result)
        if as_json:
            print_json(result)
        else:
            _figures(each, result)
    return results


def _figures(name: str, result: dict[str, object]) -> None:
    table = Table("figure", "value", title=name)
    for key, value in result.items():
        if isinstance(value, dict):
            for inner, figure in value.items():
                table.add_row(f"{key}.{inner}", str(figure))
        elif key not in {"bench", "chaos", "eval"}:
            table.add_row(key, str(value))
    out.print(table)
