"""The short form of `chaos booking`: whoever dies meanwhile, what a customer was promised stands once everywhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from lead_orchestrator.bench.stage import Stage
from lead_orchestrator.chaos.booking import LEASE, Size, break_bookings
from tests.database import Cluster, TestDatabase
from tests.stack import open_stack


@pytest.mark.timeout(240)
async def test_killed_apis_and_workers_leave_each_booking_once_here_and_outside(
    fresh_database: TestDatabase, cluster: Cluster, tmp_path: Path
) -> None:
    async with open_stack(fresh_database, cluster.redis_url, send_lease_seconds=LEASE) as stack:
        location_id = next(found for slug, found in stack.locations.items() if slug.endswith("los-angeles"))
        stage = Stage(stack.settings, stack.services, stack.sandbox, stack.tenant_id, location_id)

        counted = await break_bookings(stage, Size(bookings=18, kills=4, customers=4, each=1), tmp_path / "log")

    assert (counted["lost"], counted["duplicates"], counted["unresolved"]) == (0, 0, 0), counted
    assert counted["unexpectedErrors"] == [], counted
    assert counted["here"] == counted["shopmonkey"] == counted["google"] == counted["confirmed"], counted
    assert counted["refused"], "nobody wanted what was taken"
    assert counted["interruptedRequests"], "the kills hit nothing"
