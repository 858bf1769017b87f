"""The short form of `make chaos`: what it counts, and that nothing is lost or said twice."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from lead_orchestrator.cli.measurements import CHAOS, ChaosName


def test_every_chaos_can_be_named() -> None:
    assert {*CHAOS, "all"} == {name.value for name in ChaosName}


@pytest.mark.timeout(300)
def test_killed_workers_a_crashed_postgres_and_lost_replies_lose_nothing_and_send_nothing_twice() -> None:
    program = [sys.executable, "-c", "from lead_orchestrator.cli import main; main()"]

    done = subprocess.run(
        [*program, "chaos", "dispatch", "--quick", "--json"], capture_output=True, text=True, check=False, timeout=280
    )

    assert done.returncode == 0, done.stdout + done.stderr
    counted = json.loads(done.stdout.splitlines()[-1])
    assert (counted["lost"], counted["duplicates"], counted["unresolved"]) == (0, 0, 0), counted
    assert counted["kills"] >= 10
    assert counted["interrupted"] > 0, "the kills hit nothing"
    assert counted["accepted"] >= counted["sends"] - counted["shownToStaff"]
    assert counted["recoverySecondsMax"] <= counted["leaseSeconds"] + 10, counted
