"""The tools at work: bound to one conversation, checked, logged, and answered in words that may be said."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from lead_orchestrator.booking.appointments.service import Appointments
from lead_orchestrator.booking.calendar.freshness import Freshness
from lead_orchestrator.booking.service import Booking
from lead_orchestrator.chat.tools import repository
from lead_orchestrator.chat.tools.arguments import Arguments, parsed
from lead_orchestrator.chat.tools.booking import BookingTools
from lead_orchestrator.chat.tools.definitions import NAMES, TOOLS
from lead_orchestrator.chat.tools.looking import LookingTools
from lead_orchestrator.chat.tools.models import Bound, Called, ChatToolCall, Memory
from lead_orchestrator.clock import app_now
from lead_orchestrator.errors import AppError, BadInputError
from lead_orchestrator.log import get_logger
from lead_orchestrator.tenancy.sessions import Scope, Tenancy, WriteSession

__all__ = ["REMEMBERED", "Toolbox", "Tools", "scope_of"]

_log = get_logger(__name__)

REMEMBERED = timedelta(hours=24)
"""What a tool has shown counts for so long: prices change, and times pass."""

_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
_HANDLE_LETTERS = 5
_ARGUMENTS: Mapping[str, frozenset[str]] = {
    str(tool["function"]["name"]): frozenset(tool["function"]["parameters"]["properties"])  # type: ignore[index]  # as definitions.py makes them
    for tool in TOOLS
}
Work = Callable[[WriteSession, Arguments], Awaitable[Called]]


_TAKING = ("hold_slot", "book_slot")


def scope_of(bound: Bound) -> Scope:
    """Postgres itself holds the tools to this tenant and this shop."""
    return Scope(bound.tenant_id, frozenset({bound.location_id}), subject="assistant")


class Tools:
    """Makes the toolbox of a conversation."""

    def __init__(self, tenancy: Tenancy, booking: Booking, appointments: Appointments, freshness: Freshness) -> None:
        self._tenancy = tenancy
        self._freshness = freshness
        self._looking = LookingTools(booking)
        self._booking = BookingTools(appointments)

    def bound(self, bound: Bound, memory: Memory) -> Toolbox:
        return Toolbox(self._tenancy, self._looking, self._booking, self._freshness, bound, memory)


class Toolbox:
    """`call` answers whatever a model wrote; `memory` grows by it. A call and what it did are one transaction."""

    def __init__(
        self,
        tenancy: Tenancy,
        looking: LookingTools,
        booking: BookingTools,
        freshness: Freshness,
        bound: Bound,
        memory: Memory,
    ) -> None:
        self._tenancy = tenancy
        self._freshness = freshness
        self.bound = bound
        self.memory = memory
        self._work: Mapping[str, Work] = {
            "search_services": lambda session, given: looking.search(session, given, self),
            "opening_hours": lambda session, _: looking.hours(session, self),
            "free_slots": lambda session, given: looking.free(session, given, self),
            "hold_slot": lambda session, given: booking.hold(session, given, self),
            "book_slot": lambda session, given: booking.book(session, given, self),
            "hand_over": self._hand_over,
        }

    @property
    def wants_person(self) -> bool:
        """Whether the model has asked for somebody in this turn."""
        return any(call.name == "hand_over" for call in self.memory.during(self.bound.turn))

    async def call(self, name: str, arguments: str) -> Mapping[str, Any]:
        """What came of it, for the model: {"error": …} where nothing did."""
        if name not in NAMES:
            return {"error": f"there is no tool {name[:40]!r}: use {', '.join(sorted(NAMES))}"}
        try:
            given = parsed(arguments, _ARGUMENTS[name])
            if name in _TAKING:
                await self._look(name, given.text("slot"))
            async with self._tenancy.write(scope_of(self.bound)) as session:
                called = await self._work[name](session, given)
                await self._keep(session, called)
        except AppError as error:
            called = await self._failed(name, error)
        self.memory.calls.append(called)
        return called.result

    def handle(self, kind: str, taken: Sequence[str] = ()) -> str:
        """See `Box`."""
        names = self.memory.names().union(taken)
        while True:
            name = f"{kind}_{''.join(secrets.choice(_ALPHABET) for _ in range(_HANDLE_LETTERS))}"
            if name not in names:
                return name

    async def _look(self, name: str, slot: str) -> None:
        """Before the transaction that takes a time: is the shop's own calendar known well enough? A hold is not looked at again."""
        offer = self.memory.offer(slot, self.bound.location_id)
        if offer is not None and (name == "hold_slot" or self.memory.hold(slot) is None):
            await self._freshness.before_offer(scope_of(self.bound), offer)

    async def _failed(self, name: str, error: AppError) -> Called:
        _log.info("tool_failed", tool=name, code=error.code)
        message = error.message if isinstance(error, BadInputError) else "this does not work at the moment"
        called = Called(self.bound.turn, name, {}, {"error": message})
        async with self._tenancy.write(scope_of(self.bound)) as session:
            await self._keep(session, called)
        return called

    async def _keep(self, session: WriteSession, called: Called) -> None:
        bound = self.bound
        row = ChatToolCall(
            tenant_id=bound.tenant_id,
            location_id=bound.location_id,
            session_id=bound.chat_id,
            turn=called.turn,
            name=called.name,
            arguments=dict(called.arguments),
            result=dict(called.result),
            evidence=called.evidence.to_json(),
            handles=dict(called.handles),
            created_at=await app_now(session),
        )
        repository.add(session, row)
        await session.flush()

    async def _hand_over(self, _session: WriteSession, given: Arguments) -> Called:
        reason = given.optional_text("reason") or ""
        return Called(self.bound.turn, "hand_over", {"reason": reason}, {"handed_over": True})
