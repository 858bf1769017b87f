"""Nothing of our franchise comes back and nothing of it changes, whoever asks for it and however."""

from __future__ import annotations

import os
import sys

import pytest

from tests.graphql.cross_tenant.arena import Arena
from tests.graphql.cross_tenant.canaries import strayed
from tests.graphql.cross_tenant.conftest import ABANDONED
from tests.graphql.cross_tenant.fuzz import STORED, Fuzz, operations
from tests.graphql.cross_tenant.pools import pools_of

pytestmark = ABANDONED
ATTEMPTS = int(os.environ.get("LEAD_FUZZ_ATTEMPTS", "10000"))
SEED = int(os.environ.get("LEAD_FUZZ_SEED", "1"))


@pytest.mark.timeout(180 + ATTEMPTS // 20)
@pytest.mark.parametrize("whose", ["strangers", "colleagues"])
async def test_nobody_gets_or_changes_what_is_not_theirs(
    arena: Arena, capsys: pytest.CaptureFixture[str], whose: str
) -> None:
    callers = await (arena.strangers() if whose == "strangers" else arena.colleagues())
    share = ATTEMPTS * 3 // 5 if whose == "strangers" else ATTEMPTS - ATTEMPTS * 3 // 5
    fuzz = Fuzz(arena, await operations(arena, *STORED), SEED)

    await fuzz.run(callers, await pools_of(arena, callers), share)

    with capsys.disabled():
        print(f"\n{fuzz.report()}", file=sys.stderr)  # noqa: T201 - to be seen
    assert fuzz.attempts >= share
    assert not fuzz.problems, fuzz.told()
    if whose == "strangers":
        secrets = await arena.secrets(callers[0].victim)
        assert await strayed(secrets, callers[0].victim), "it finds them where they belong"
        assert await strayed(secrets, callers[0].own) == []
