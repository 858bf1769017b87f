"""Whoever commits a booking wakes those who tell the customer and the other systems of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from lead_orchestrator.booking.appointments.service import Appointments
from lead_orchestrator.errors import BadInputError
from lead_orchestrator.jobs.alarms import Alarms
from lead_orchestrator.jobs.queue import Queue, open_queue
from lead_orchestrator.jobs.work import Context, dispatch_outbox
from tests.booking.desk import Desk
from tests.database import Cluster


@dataclass(frozen=True)
class Ringing:
    """The queue that the commits of the desk's process ring."""

    queue: Queue
    alarms: Alarms

    async def rung(self) -> set[tuple[str, ...]]:
        """Since it was asked last."""
        await self.alarms.close()
        jobs = {(job.function, *job.args) for job in await self.queue.redis.queued_jobs()}
        await self.queue.redis.flushall()
        return jobs


@pytest_asyncio.fixture
async def ringing(cluster: Cluster, desk: Desk) -> AsyncIterator[Ringing]:
    queue = await open_queue(cluster.redis_url)
    await queue.redis.flushall()  # this test process's own Valkey
    alarms = Alarms(queue)
    desk.stack.services.tenancy.on_alarm = alarms.ring
    yield Ringing(queue, alarms)
    await alarms.close()
    desk.stack.services.tenancy.on_alarm = None
    await queue.redis.aclose(close_connection_pool=True)


async def test_a_booking_its_move_and_its_end_ring_both(desk: Desk, ringing: Ringing) -> None:
    tenant = str(desk.stack.tenant_id)
    both = {("dispatch_tenant", tenant), ("dispatch_outbox", tenant)}

    made = await desk.book(desk.at(0))
    assert await ringing.rung() == both
    await desk.move(made, desk.at(1))
    assert await ringing.rung() == both
    await desk.cancel(made)
    assert await ringing.rung() == both


async def test_what_was_undone_rings_nobody(desk: Desk, ringing: Ringing) -> None:
    services = desk.stack.services

    async def booked_and_regretted(appointments: Appointments) -> None:
        async with services.tenancy.write(desk.stack.scope) as session:
            await appointments.book(session, desk.wanted(desk.at(3)), "regretted")
            raise BadInputError("somebody changed their mind")

    with pytest.raises(BadInputError):
        await booked_and_regretted(services.appointments)

    assert await ringing.rung() == set()


async def test_the_rung_job_makes_the_appointment_in_shopmonkey(desk: Desk, ringing: Ringing) -> None:
    made = await desk.book(desk.at(5), first_name="Grace")
    [job] = [job for job in await ringing.rung() if job[0] == "dispatch_outbox"]

    context: Context = {"services": desk.stack.services, "queue": ringing.queue, "job_id": "a job"}
    await dispatch_outbox(context, job[1])

    [row] = await desk.stack.rows("SELECT sync_status FROM appointments WHERE id = :id", id=made.id)
    assert row["sync_status"] == "SYNCED"
