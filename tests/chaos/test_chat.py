"""The short form of `chaos chat`: whoever dies in mid-answer, the customer gets exactly one."""

from __future__ import annotations

from pathlib import Path

import pytest

from lead_orchestrator.bench.stage import Stage
from lead_orchestrator.chaos.chat import LEASE, Size, break_chats
from tests.database import Cluster, TestDatabase
from tests.stack import open_stack


@pytest.mark.timeout(240)
async def test_a_worker_that_is_killed_in_mid_answer_leaves_each_customer_exactly_one(
    fresh_database: TestDatabase, cluster: Cluster, tmp_path: Path
) -> None:
    async with open_stack(
        fresh_database, cluster.redis_url, answer_lease_seconds=LEASE, send_lease_seconds=LEASE
    ) as stack:
        location_id = next(found for slug, found in stack.locations.items() if slug.endswith("los-angeles"))
        stage = Stage(stack.settings, stack.services, stack.sandbox, stack.tenant_id, location_id)

        counted = await break_chats(stage, Size(customers=6, texts=1, kills=3), tmp_path / "log")

    assert (counted["lost"], counted["duplicates"], counted["unresolved"]) == (0, 0, 0), counted
    assert counted["answers"] == 6, counted
    assert counted["interrupted"], "the kills hit nothing"
