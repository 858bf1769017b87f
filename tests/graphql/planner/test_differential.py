"""The planner and the ordinary executor answer alike, whatever is asked."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping, Set
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from lead_orchestrator.graphql.planner.declare import Arguments, Entity, Many, One, Root
from lead_orchestrator.graphql.planner.lead_types import LEADS
from lead_orchestrator.graphql.planner.registry import ENTITIES, ROOTS
from lead_orchestrator.graphql.planner.run import Planner
from lead_orchestrator.tenancy.permissions import operation_rule
from tests.graphql.planner.world import Caller, World, canonical, readable
from tests.graphql.planner.writer import Choices, Dice, Drawn, Operation, write

OPERATIONS = int(os.environ.get("LEAD_DIFFERENTIAL_OPERATIONS", "2000"))
LEAST_PLANNED = 0.95
DECLARED = {entity.name: entity.fields for entity in ENTITIES.values()}
SETTINGS = settings(
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
    report_multiple_bugs=False,
    print_blob=False,
)


def _open_to(caller: Caller) -> frozenset[str]:
    """The planned root fields that the caller's role may ask for; others are asked for seldom, and refused."""
    return frozenset(name for name in ROOTS if caller.scope.role in operation_rule(f"Query.{name}"))


@dataclass
class Comparison:
    """Asks both ways, and counts."""

    world: World
    planner: Planner
    asked: int = 0
    planned: int = 0
    left: list[str] = field(default_factory=list)

    async def compare(self, operation: Operation, caller: Caller) -> None:
        planned = await self.world.planned(operation, caller, self.planner)
        self.asked += 1
        if planned is None:
            self.left.append(operation.text)
            return
        self.planned += 1
        executed = await self.world.executed(operation, caller)
        same = canonical(planned) == canonical(executed) and "INTERNAL" not in str(executed.get("errors"))
        assert same, readable(operation, caller, planned, executed)

    async def run(self, operations: int, number: int, *, of: Set[str] = frozenset(ROOTS)) -> None:
        """So many of them; `number` repeats them."""
        choices = Dice(Random(number))  # noqa: S311 - a seed to repeat it by
        for _ in range(operations):
            await self.compare(*self._written(choices, of))

    async def simplest(self, examples: int) -> None:
        """The simplest operation that is answered otherwise, if one is found; hypothesis waits in a thread of its own for what
        is answered in this one."""
        loop = asyncio.get_running_loop()

        @st.composite
        def written(draw: DrawFn) -> tuple[Operation, Caller]:
            return self._written(Drawn(draw), frozenset(ROOTS))

        @settings(SETTINGS, max_examples=examples)
        @given(written())
        def compare(asked: tuple[Operation, Caller]) -> None:
            asyncio.run_coroutine_threadsafe(self.compare(*asked), loop).result(60)

        await asyncio.to_thread(compare)

    def _written(self, choices: Choices, of: Set[str]) -> tuple[Operation, Caller]:
        caller = self.world.callers[choices.number(0, len(self.world.callers) - 1)]
        return write(choices, self.world.core, self.world.samples, of & _open_to(caller), DECLARED), caller


@pytest.mark.timeout(180 + OPERATIONS)
async def test_both_ways_answer_alike(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Where they do not, the simplest such operation is looked for."""
    comparison = Comparison(world, world.planner)

    try:
        await comparison.run(OPERATIONS, 0)
    except AssertionError:
        await comparison.simplest(OPERATIONS)
        raise

    share = comparison.planned / comparison.asked
    with capsys.disabled():
        print(f"\nplanned: {comparison.planned} of {comparison.asked} operations ({share:.1%})", file=sys.stderr)  # noqa: T201 - to be seen
    assert comparison.asked >= OPERATIONS
    assert share >= LEAST_PLANNED, "\n".join(comparison.left)


def _paged(name: str, **changed: Any) -> Mapping[str, Root]:
    """The roots with one connection's paging changed."""
    root = ROOTS[name]
    assert root.connection is not None
    paging = replace(root.connection.paging, **changed)
    return {**ROOTS, name: replace(root, connection=replace(root.connection, paging=paging), read=paging.read)}


def _one_more(arguments: Mapping[str, Any]) -> Arguments:
    read = LEADS.read(arguments)
    return Arguments(read.shape, {**read.values, "first": read.values["first"] + 1, "limit": read.values["limit"] + 1})


def _elsewhere() -> Mapping[str, Entity]:
    """A lead's location is any but its own."""
    wrong = One("Location", lambda own, place: place.c.id != own.c.location_id, order=lambda place: (place.c.id,))
    return _entity("Lead", fields={**ENTITIES["Lead"].fields, "location": wrong})


def _entity(name: str, **changed: Any) -> Mapping[str, Entity]:
    """The entities with one of them changed."""
    return {**ENTITIES, name: replace(ENTITIES[name], **changed)}


def _cut_short(name: str, listed: str) -> Mapping[str, Entity]:
    """One list of a type has two entries at most."""
    many = ENTITIES[name].fields[listed]
    assert isinstance(many, Many)
    return _entity(name, fields={**ENTITIES[name].fields, listed: replace(many, most=2)})


FAULTS: Mapping[str, Mapping[str, Any]] = {
    "wrong order": {"roots": _paged("leads", order=lambda row, _shape: (row.c.id,))},
    "lost filter": {"roots": _paged("leads", terms=lambda _row, _shape, _bind: ())},
    "one too many": {"roots": _paged("leads", read=_one_more)},
    "lost cursor": {"roots": _paged("locations", after=lambda _row, _shape, _bind: None)},
    "wrong relation": {"entities": _elsewhere()},
    "days left out": {"entities": _cut_short("Report", "byDay")},
    "touches left out": {"entities": _cut_short("TouchSchedule", "touches")},
    "every session of the franchise": {"entities": _entity("LoginSession", visible=None)},
    "locations left out": {"entities": _cut_short("Viewer", "locations")},
}
AT_FAULT = frozenset({"leads", "locations", "report", "touchSchedule", "mySessions", "viewer"})


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_a_fault_of_the_planner_is_found(world: World, fault: Mapping[str, Any]) -> None:
    comparison = Comparison(world, Planner(world.core, world.reader, **fault))

    with pytest.raises(AssertionError, match="planned"):
        await comparison.run(1500, 1, of=AT_FAULT)
