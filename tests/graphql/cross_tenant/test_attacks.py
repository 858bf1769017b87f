"""Nothing of our franchise comes back and nothing of it changes, whoever asks for it and however: by GraphQL, REST and sockets."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

import pytest

from tests.graphql.cross_tenant.acts import Act
from tests.graphql.cross_tenant.arena import Arena
from tests.graphql.cross_tenant.calling import Calls, unknown
from tests.graphql.cross_tenant.canaries import strayed
from tests.graphql.cross_tenant.conftest import ABANDONED
from tests.graphql.cross_tenant.fuzz import STORED, Fuzz, operations
from tests.graphql.cross_tenant.pools import pools_of
from tests.graphql.cross_tenant.subscribing import listen
from tests.serving import serving

pytestmark = ABANDONED
ATTEMPTS = int(os.environ.get("LEAD_FUZZ_ATTEMPTS", "10000"))
SEED = int(os.environ.get("LEAD_FUZZ_SEED", "1"))
BY_SOCKET, BY_REST = 36, ATTEMPTS * 14 // 100
"""Subscriptions of each caller, and calls of routes; the rest is GraphQL's."""


@pytest.mark.timeout(300 + ATTEMPTS // 10)
async def test_nobody_gets_or_changes_what_is_not_theirs(
    arena: Arena, acts: Mapping[str, Act], twins: Mapping[str, str | None], capsys: pytest.CaptureFixture[str]
) -> None:
    strangers, colleagues = await arena.strangers(), await arena.colleagues()
    by_graphql = ATTEMPTS - BY_REST - BY_SOCKET * len([*strangers, *colleagues])
    problems: list[str] = []
    made = {"graphql": 0, "rest": 0, "sockets": 0}
    denied, callers = 0, ""
    async with serving(arena.settings) as http:
        for callers_of, share in ((strangers, 0.7), (colleagues, 0.3)):
            pools = await pools_of(arena, callers_of)
            fuzz, calls = Fuzz(arena, await operations(arena, *STORED), SEED), Calls(arena, http, SEED)
            for caller in callers_of:
                heard = await listen(arena, caller, seed=SEED, number=BY_SOCKET)
                made["sockets"] += heard.attempts.total()
                problems += heard.problems
                assert heard.told or caller.name == "nobody", f"nothing happened while {caller.name} listened"
            await calls.run(callers_of, pools, round(BY_REST * share))  # before anybody's own role is changed
            await fuzz.run(callers_of, pools, round(by_graphql * share))
            made["graphql"] += fuzz.attempts
            made["rest"] += calls.attempts
            denied += fuzz.denied + calls.denied
            problems += [*fuzz.problems, *calls.problems]
            callers += "".join(f"\n  {fuzz.told_by(caller.name)}" for caller in callers_of)

    effects = sum(problem.startswith("rows were changed") for problem in problems)
    working = [*(act.refused for act in acts.values()), *twins.values()]
    line = (
        f"{sum(made.values())} attempts (seed {SEED}): {', '.join(f'{how} {number}' for how, number in made.items())};"
        f" {len(problems) - effects} leaks, {effects} effects, {denied} denied,"
        f" {working.count(None)} of {len(working)} positive twins"
    )
    with capsys.disabled():
        print(f"\n{line}{callers}", file=sys.stderr)  # noqa: T201 - to be seen
    assert not problems, "\n\n".join(problems[:5])
    assert sum(made.values()) >= ATTEMPTS
    secrets, victim = await arena.secrets(strangers[0].victim), strangers[0].victim
    assert await strayed(secrets, victim), "it finds them where they belong"
    assert await strayed(secrets, strangers[0].own) == []


def test_every_route_has_a_request() -> None:
    assert unknown() == [], "add each to REQUESTS of tests/graphql/cross_tenant/requests.py"
