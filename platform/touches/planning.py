"""A franchise's own schedule of touches: what may stand in it, and how it is kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import time
from uuid import UUID

from lead_orchestrator.errors import AppError, BadInputError, ForbiddenError, NotFoundError
from lead_orchestrator.ids import Kind, encode
from lead_orchestrator.tenancy import repository as tenancy_repository
from lead_orchestrator.tenancy.sessions import ReadSession, WriteSession
from lead_orchestrator.touches import repository
from lead_orchestrator.touches.models import TouchTemplate
from lead_orchestrator.touches.quiet_hours import QuietHours
from lead_orchestrator.touches.schedule import DEFAULT_TOUCHES, VARIABLES, Touch
from lead_orchestrator.touches.service import touch_of
from lead_orchestrator.touches.wording import problem, wording_problems

__all__ = ["ScheduleChange", "ScheduleError", "StoredSchedule", "problems", "read_schedule", "set_schedule"]

MOST_TOUCHES = len(DEFAULT_TOUCHES)
LAST_DAY = 365
LONGEST_TEMPLATE_NAME = 512


@dataclass(frozen=True)
class StoredSchedule:
    """The touches in force, in their order; `version` 0 while nothing but the default is there."""

    touches: Sequence[Touch]
    quiet_hours_start: time
    quiet_hours_end: time
    version: int


@dataclass(frozen=True)
class ScheduleChange:
    """`location_id` None is the whole tenant. Quiet hours begin at `start` and last until `end`; None leaves them."""

    location_id: UUID | None
    touches: Sequence[Touch]
    quiet_hours_start: time | None = None
    quiet_hours_end: time | None = None


class ScheduleError(BadInputError):
    """The schedule cannot be used; `problems` are all there are, the first one is its message."""

    def __init__(self, problems: Sequence[AppError]) -> None:
        super().__init__(problems[0].message, code=problems[0].code, field=problems[0].field)
        self.problems = problems


async def read_schedule(session: ReadSession, location_id: UUID | None) -> StoredSchedule:
    """The schedule of a location, or (None) that of the tenant.

    Raises:
        NotFoundError: the caller sees no such location.
    """
    if location_id is not None:
        await _check_location(session, location_id)
    rows = await repository.templates(session, [location_id] if location_id else [])
    own = [row for row in rows if row.location_id == location_id]
    stored = sorted(own or [row for row in rows if row.location_id is None], key=lambda row: row.number)
    config = await tenancy_repository.messaging_config(session)
    default = QuietHours()
    return StoredSchedule(
        [touch_of(row) for row in stored] or DEFAULT_TOUCHES,
        config.quiet_hours_start if config else default.closes,
        config.quiet_hours_end if config else default.opens,
        max((row.version for row in stored), default=0),
    )


async def set_schedule(session: WriteSession, change: ScheduleChange) -> tuple[StoredSchedule, int]:
    """Make `change` the whole schedule of its location or tenant; and how many leads wait for a touch of it.

    What is planned already keeps its time; what it says, and all that follows, is of the new schedule.

    Raises:
        ScheduleError: with everything that is wrong.
        ForbiddenError: it is the whole tenant's, and the caller serves some locations only.
        NotFoundError: the caller sees no such location.
    """
    if change.location_id is None and session.scope.location_ids is not None:
        message = "this schedule is the whole franchise's, and you serve some of its locations: name a locationId"
        raise ForbiddenError(message, field=("locationId",))
    await repository.lock_schedule(session)
    before = await read_schedule(session, change.location_id)
    found = [*problems(change.touches), *_quiet_problems(change, before)]
    if found:
        raise ScheduleError(found)
    version = before.version + 1
    rows = [_row(session.scope.tenant_id, change.location_id, touch, version) for touch in change.touches]
    await repository.replace_templates(session, change.location_id, rows)
    await _set_quiet_hours(session, change)
    target = encode(Kind.LOCATION, change.location_id) if change.location_id else None
    target = target or encode(Kind.TENANT, session.scope.tenant_id)
    session.audit("touch_schedule.set", target=target, detail={"version": version, "touches": len(rows)})
    after = await read_schedule(session, change.location_id)
    return after, await repository.in_flight(session, change.location_id)


async def _check_location(session: ReadSession, location_id: UUID) -> None:
    if await tenancy_repository.location(session, location_id) is None:
        raise NotFoundError(f"there is no location {encode(Kind.LOCATION, location_id)}", field=("locationId",))


def _row(tenant_id: UUID, location_id: UUID | None, touch: Touch, version: int) -> TouchTemplate:
    return TouchTemplate(
        tenant_id=tenant_id,
        location_id=location_id,
        number=touch.number,
        day=touch.day,
        channel=touch.channel.value,
        subject=touch.subject,
        body=touch.body,
        whatsapp_template=touch.whatsapp_template,
        version=version,
    )


async def _set_quiet_hours(session: WriteSession, change: ScheduleChange) -> None:
    config = await tenancy_repository.messaging_config(session)
    if config is None:
        return
    config.quiet_hours_start = change.quiet_hours_start or config.quiet_hours_start
    config.quiet_hours_end = change.quiet_hours_end or config.quiet_hours_end
    await session.flush()


def problems(touches: Sequence[Touch]) -> list[AppError]:
    """Everything that is wrong with these touches, each with the path of the input at fault."""
    if not 1 <= len(touches) <= MOST_TOUCHES:
        return [_problem(f"touches has {len(touches)} entries: send 1 to {MOST_TOUCHES}", "touches")]
    found = [*_numbering(touches), *_days(touches)]
    for place, touch in enumerate(touches):
        found += _wording(touch, "touches", str(place))
    return found


def _numbering(touches: Sequence[Touch]) -> Iterator[AppError]:
    for number, (place, touch) in enumerate(_in_order(touches), start=1):
        if touch.number != number:
            message = f"number is {touch.number}: number the touches 1 to {len(touches)}, each once"
            yield _problem(message, f"touches.{place}.number")


def _days(touches: Sequence[Touch]) -> Iterator[AppError]:
    before: int | None = None
    for place, touch in _in_order(touches):
        path = f"touches.{place}.day"
        if before is None and touch.day != 0:
            yield _problem(f"the first touch is on day {touch.day}: it goes out at once, on day 0", path)
        elif before is not None and touch.day <= before:
            yield _problem(f"touch {touch.number} is on day {touch.day}, which is not after day {before}", path)
        elif touch.day > LAST_DAY:
            yield _problem(f"touch {touch.number} is on day {touch.day}: {LAST_DAY} is the last one", path)
        before = touch.day


def _in_order(touches: Sequence[Touch]) -> list[tuple[int, Touch]]:
    """The touches by their number, each with its place in the input."""
    return sorted(enumerate(touches), key=lambda entry: entry[1].number)


def _wording(touch: Touch, *path: str) -> Iterator[AppError]:
    yield from wording_problems("touches", touch.channel, touch.subject, touch.body, VARIABLES, path)
    if touch.whatsapp_template and len(touch.whatsapp_template) > LONGEST_TEMPLATE_NAME:
        message = f"whatsappTemplate has {len(touch.whatsapp_template)} characters: it is a template's name"
        yield problem(message, (*path, "whatsappTemplate"))


def _quiet_problems(change: ScheduleChange, before: StoredSchedule) -> Iterator[AppError]:
    start, end = change.quiet_hours_start, change.quiet_hours_end
    if start is None and end is None:
        return
    start, end = start or before.quiet_hours_start, end or before.quiet_hours_end
    unchanged = (start, end) == (before.quiet_hours_start, before.quiet_hours_end)
    path = "quietHoursStart" if change.quiet_hours_start is not None else "quietHoursEnd"
    if change.location_id is not None and not unchanged:
        yield _problem("quiet hours are the whole franchise's: set them without a locationId", path)
    try:
        QuietHours(opens=end, closes=start)
    except BadInputError:
        message = (
            f"quiet hours from {start:%H:%M} to {end:%H:%M} leave no time to write on one day: begin them after they end,"
            " as 20:00 to 09:00 does"
        )
        yield _problem(message, path)


def _problem(message: str, path: str) -> AppError:
    return problem(message, tuple(path.split(".")))
