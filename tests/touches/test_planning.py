from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import time
from uuid import UUID, uuid4

import pytest

from lead_orchestrator.errors import ForbiddenError, NotFoundError
from lead_orchestrator.leads.models import Channel
from lead_orchestrator.tenancy.secrets import SecretBox
from lead_orchestrator.tenancy.sessions import Tenancy
from lead_orchestrator.touches.planning import (
    ScheduleChange,
    ScheduleError,
    StoredSchedule,
    problems,
    read_schedule,
    set_schedule,
)
from lead_orchestrator.touches.schedule import DEFAULT_TOUCHES, Touch
from lead_orchestrator.touches.service import schedules
from tests.factories import MadeTenant, make_lead, make_tenant

SMS, EMAIL = Channel.SMS, Channel.EMAIL


def text(number: int, day: int, body: str = "Hi {first_name|there}", **fields: object) -> Touch:
    return replace(Touch(number, day, SMS, None, body), **fields)  # type: ignore[arg-type]  # by the field's name


THREE = (text(1, 0), text(2, 2), text(3, 4, subject="Your {vehicle|car}", channel=EMAIL))


async def stored(
    tenancy: Tenancy, tenant: MadeTenant, change: ScheduleChange, *, limited_to: UUID | None = None
) -> tuple[StoredSchedule, int]:
    scope = replace(tenant.scope, location_ids=frozenset({limited_to})) if limited_to else tenant.scope
    async with tenancy.write(scope) as session:
        return await set_schedule(session, change)


async def shown(tenancy: Tenancy, tenant: MadeTenant, location: UUID | None = None) -> StoredSchedule:
    async with tenancy.read(tenant.scope) as session:
        return await read_schedule(session, location)


@pytest.mark.parametrize(
    ("touches", "paths"),
    [
        ([], ["touches"]),
        ([text(n + 1, n) for n in range(14)], ["touches"]),
        ([text(1, 0), text(1, 1)], ["touches.1.number"]),
        ([text(1, 0), text(3, 1)], ["touches.1.number"]),
        ([text(0, 0)], ["touches.0.number"]),
        ([text(1, 1)], ["touches.0.day"]),
        ([text(1, -1)], ["touches.0.day"]),
        ([text(1, 0), text(2, 3), text(3, 3)], ["touches.2.day"]),
        ([text(2, 0), text(1, 5)], ["touches.1.day", "touches.0.day"]),
        ([text(1, 0), text(2, 366)], ["touches.1.day"]),
        ([text(1, 0, "Hi {name}")], ["touches.0.body"]),
        ([text(1, 0, "Hi {first_name} {")], ["touches.0.body"]),
        ([text(1, 0, " \n ")], ["touches.0.body"]),
        ([text(1, 0, "x" * 1601)], ["touches.0.body"]),
        ([text(1, 0, channel=Channel.WEB_CHAT)], ["touches.0.channel"]),
        ([text(1, 0, subject="No")], ["touches.0.subject"]),
        ([text(1, 0, channel=EMAIL)], ["touches.0.subject"]),
        ([text(1, 0, channel=EMAIL, subject=" ")], ["touches.0.subject"]),
        ([text(1, 0, channel=EMAIL, subject="a\nb")], ["touches.0.subject"]),
        ([text(1, 0, channel=EMAIL, subject="x" * 201)], ["touches.0.subject"]),
        ([text(1, 0, channel=EMAIL, subject="{color}")], ["touches.0.subject"]),
        ([text(1, 0, whatsapp_template="x" * 513)], ["touches.0.whatsappTemplate"]),
        ([text(1, 2, "{a} {b}"), text(2, 1)], ["touches.0.day", "touches.1.day", "touches.0.body", "touches.0.body"]),
        (THREE, []),
        ([THREE[1], THREE[2], THREE[0]], []),
        (DEFAULT_TOUCHES, []),
    ],
)
def test_everything_wrong_is_named_with_its_path(touches: Sequence[Touch], paths: list[str]) -> None:
    assert [".".join(problem.field or ()) for problem in problems(touches)] == paths


def test_an_unknown_variable_is_named_with_its_place() -> None:
    [problem] = problems([text(1, 0, "Hi {first_name|you}, {colour}")])

    assert problem.message.startswith("unknown variable 'colour' at character 22; known are: chat_link, first_name")


async def test_without_a_schedule_of_ones_own_the_default_is_shown(tenancy: Tenancy, secret_box: SecretBox) -> None:
    tenant = await make_tenant(tenancy, secret_box)

    found = await shown(tenancy, tenant, tenant.location)

    assert (found.touches, found.version) == (DEFAULT_TOUCHES, 0)
    assert (found.quiet_hours_start, found.quiet_hours_end) == (time(20), time(9))


async def test_a_schedule_replaces_the_one_before_as_a_whole(tenancy: Tenancy, secret_box: SecretBox) -> None:
    tenant = await make_tenant(tenancy, secret_box)

    first, _ = await stored(tenancy, tenant, ScheduleChange(None, THREE))
    second, _ = await stored(tenancy, tenant, ScheduleChange(None, [THREE[2], *THREE[:2]]))
    third, _ = await stored(tenancy, tenant, ScheduleChange(None, THREE[:1]))

    assert (tuple(first.touches), first.version) == (THREE, 1)
    assert (tuple(second.touches), second.version) == (THREE, 2)
    assert (tuple(third.touches), third.version) == (THREE[:1], 3)
    assert await shown(tenancy, tenant) == third


async def test_a_locations_schedule_stands_in_the_place_of_the_tenants(tenancy: Tenancy, secret_box: SecretBox) -> None:
    tenant = await make_tenant(tenancy, secret_box, locations=2)
    own, other = tenant.locations
    await stored(tenancy, tenant, ScheduleChange(None, THREE))

    await stored(tenancy, tenant, ScheduleChange(own, [text(1, 0, "Mine")]), limited_to=own)

    assert [touch.body for touch in (await shown(tenancy, tenant, own)).touches] == ["Mine"]
    assert tuple((await shown(tenancy, tenant, other)).touches) == THREE
    async with tenancy.read(tenant.scope) as session:
        in_force = await schedules(session, tenant.locations)
    assert [touch.body for touch in in_force[own].values()] == ["Mine"]
    assert tuple(in_force[other].values()) == THREE


async def test_quiet_hours_are_kept_for_the_whole_franchise(tenancy: Tenancy, secret_box: SecretBox) -> None:
    tenant = await make_tenant(tenancy, secret_box)

    await stored(tenancy, tenant, ScheduleChange(None, THREE, time(18), time(10)))
    later, _ = await stored(tenancy, tenant, ScheduleChange(None, THREE, quiet_hours_start=time(19)))

    assert (later.quiet_hours_start, later.quiet_hours_end) == (time(19), time(10))
    assert (await shown(tenancy, tenant, tenant.location)).quiet_hours_start == time(19)


@pytest.mark.parametrize(
    ("start", "end", "at_location", "path"),
    [
        (time(9), time(9), False, "quietHoursStart"),
        (time(8), time(20), False, "quietHoursStart"),
        (None, time(21), False, "quietHoursEnd"),
        (time(21), None, True, "quietHoursStart"),
    ],
)
async def test_quiet_hours_that_cannot_be_are_refused(
    tenancy: Tenancy, secret_box: SecretBox, start: time | None, end: time | None, at_location: bool, path: str
) -> None:
    tenant = await make_tenant(tenancy, secret_box)
    place = tenant.location if at_location else None

    with pytest.raises(ScheduleError) as refused:
        await stored(tenancy, tenant, ScheduleChange(place, [text(1, 1)], start, end))

    assert [problem.field for problem in refused.value.problems] == [("touches", "0", "day"), (path,)]
    assert (await shown(tenancy, tenant)).version == 0


async def test_who_waits_for_a_touch_of_it_is_counted(tenancy: Tenancy, secret_box: SecretBox) -> None:
    tenant = await make_tenant(tenancy, secret_box, locations=2)
    own, other = tenant.locations
    for location in (own, own, other):
        await make_lead(tenancy, secret_box, tenant, location=location)

    _, everybody = await stored(tenancy, tenant, ScheduleChange(None, THREE))
    _, there = await stored(tenancy, tenant, ScheduleChange(own, THREE))
    _, elsewhere = await stored(tenancy, tenant, ScheduleChange(None, THREE))

    assert (everybody, there, elsewhere) == (3, 2, 1)


async def test_who_may_not_set_it_is_told(tenancy: Tenancy, secret_box: SecretBox) -> None:
    tenant, stranger = [await make_tenant(tenancy, secret_box, locations=2) for _ in range(2)]
    own, other = tenant.locations

    with pytest.raises(ForbiddenError):
        await stored(tenancy, tenant, ScheduleChange(None, THREE), limited_to=own)
    for location in (other, stranger.location, uuid4()):
        with pytest.raises(NotFoundError):
            await stored(tenancy, tenant, ScheduleChange(location, THREE), limited_to=own)
    assert (await shown(tenancy, tenant, other)).version == 0
    assert (await shown(tenancy, stranger)).version == 0


async def test_two_who_set_it_at_once_take_turns(tenancy: Tenancy, secret_box: SecretBox) -> None:
    tenant = await make_tenant(tenancy, secret_box)

    done = await asyncio.gather(*(stored(tenancy, tenant, ScheduleChange(None, THREE)) for _ in range(4)))

    assert sorted(schedule.version for schedule, _ in done) == [1, 2, 3, 4]
