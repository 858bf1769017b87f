"""An assistant without a model: rules of words and the same tools. It can quote, show times and book in a whole conversation."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from lead_orchestrator.chat.models import Reason
from lead_orchestrator.chat.responder_words import SAYINGS
from lead_orchestrator.chat.tools.models import Called
from lead_orchestrator.chat.tools.toolbox import Toolbox
from lead_orchestrator.chat.understanding import Wish, chosen, contact, day_asked, is_angry, pressed, time_asked, wishes

__all__ = ["Heard", "Reply", "respond"]

MOST_PRICES, MOST_TIMES = 3, 4


@dataclass(frozen=True)
class Heard:
    """A conversation: what the customer wrote by turns, what was answered, where and when it is. `asked` is what waits for an
    answer."""

    shop: str
    today: date
    written: Sequence[tuple[int, str]]
    answered: Sequence[str]
    asked: str


@dataclass(frozen=True)
class Reply:
    """What to say; with a `person` the conversation goes to somebody instead."""

    text: str = ""
    person: Reason | None = None


async def respond(heard: Heard, box: Toolbox) -> Reply:
    """Answer what the customer wrote last."""
    wanted = wishes(heard.asked)
    if is_angry(heard.asked):
        return Reply(person=Reason.ANGER)
    if Wish.PERSON in wanted:
        return Reply(person=Reason.ASKED)
    text = await _Turn(heard, box).answer(wanted)
    if text is None:
        return Reply(person=Reason.FAILURE)
    said = SAYINGS[box.bound.language]
    introduced = any(said["i_am"].format(shop=heard.shop) in answer for answer in heard.answered)
    return Reply(text if introduced else f"{said['i_am'].format(shop=heard.shop)} {text}")


class _Turn:
    def __init__(self, heard: Heard, box: Toolbox) -> None:
        self._heard = heard
        self._box = box
        self._said = SAYINGS[box.bound.language]

    async def answer(self, wanted: frozenset[Wish]) -> str | None:
        """The answer by the first rule that has one; None when it has not understood twice."""
        asked = self._heard.asked
        pending = self._unfinished()
        offered = self._offered()
        place = _taken(asked, [slot["local_start"] for _, slot in offered]) if Wish.PRICE not in wanted else None
        if place is not None:
            return await self._book(offered[place][0])
        if pending is not None and not wanted & {Wish.PRICE, Wish.HOURS, Wish.TIMES}:
            return await self._book(pending)
        if Wish.HOURS in wanted:
            return await self._hours()
        if Wish.PRICE in wanted:
            return await self._prices(asked)
        return await self._further(wanted, asked)

    async def _further(self, wanted: frozenset[Wish], asked: str) -> str | None:
        known = self._newest("search_services")
        if Wish.TIMES in wanted or (Wish.YES in wanted and known):
            return await self._times(asked)
        if Wish.THANKS in wanted:
            return self._said["welcome"]
        found = await self._box.call("search_services", json.dumps({"query": asked}))
        if found.get("services"):
            return self._quote(found["services"])
        if Wish.GREETING in wanted or not self._heard.answered:
            return self._said["help"]
        misunderstood = self._said["again"]
        return None if misunderstood in self._heard.answered[-1] else misunderstood

    async def _hours(self) -> str:
        found = await self._box.call("opening_hours", "{}")
        parts = [self._said["hours"].format(hours="; ".join(found["hours"]))]
        if found["closures"]:
            parts.append(self._said["closures"].format(closures="; ".join(found["closures"])))
        if found["address"]:
            parts.append(self._said["address"].format(address=found["address"]))
        return " ".join(parts)

    async def _prices(self, asked: str) -> str:
        found = await self._box.call("search_services", json.dumps({"query": asked}))
        return self._quote(found["services"]) if found.get("services") else self._said["no_service"]

    def _quote(self, services: Sequence[Mapping[str, Any]]) -> str:
        lines = [
            self._said["price" if one["price"] else "no_price"].format(name=one["name"], price=one["price"])
            for one in services[:MOST_PRICES]
        ]
        return " ".join([*lines, self._said["times_then"]])

    async def _times(self, asked: str) -> str:
        service = await self._service(asked)
        if service is None:
            return self._said["which_service"]
        days, near = day_asked(asked, self._heard.today), time_asked(asked)
        wanted = {
            "services": [service["service"]],
            "from_date": days[0].isoformat() if days else None,
            "to_date": days[1].isoformat() if days else None,
            "near": f"{near:%H:%M}" if near else None,
        }
        found = await self._box.call("free_slots", json.dumps(wanted))
        if not found.get("free"):
            return self._said["full"]
        times = "; ".join(one["when"] for one in found["free"][:MOST_TIMES])
        return f"{self._said['free'].format(service=service['name'], times=times)} {self._said['which']}"

    async def _service(self, asked: str) -> Mapping[str, Any] | None:
        """What they want done: what they name now, else what they were quoted last, of several what they named then."""
        found = await self._box.call("search_services", json.dumps({"query": asked}))
        if found.get("services"):
            return _first(found)
        earlier = [
            call for call in self._box.memory.calls if call.name == "search_services" and call.result.get("services")
        ]
        return _first(earlier[-1].result) if earlier else None

    async def _book(self, slot: str) -> str:
        since = self._since_asked_who(slot)
        who = contact([text for turn, text in self._heard.written if turn > since]) if since is not None else None
        arguments = {"slot": slot, "name": who.name if who else None, "phone": who.phone if who else None}
        done = await self._box.call("book_slot", json.dumps(arguments))
        if "booked" in done:
            parts = [self._said["booked"].format(when=done["booked"])]
            if done["total"]:
                parts.append(self._said["booked_for"].format(services=", ".join(done["services"]), total=done["total"]))
            return " ".join([*parts, self._said["bye"]])
        if needs := done.get("needs"):
            return self._said["contact" if "name" in needs else "bad_phone"]
        return f"{self._said['taken']} {await self._times('')}"

    def _offered(self) -> list[tuple[str, Mapping[str, Any]]]:
        """The times that were offered last: those that were named first, and the others that have buttons."""
        found = self._newest("free_slots")
        names = [str(one["slot"]) for one in found.result["free"]] if found else []
        return [(name, found.handles[name]) for name in names] if found else []

    def _unfinished(self) -> str | None:
        """The time that waits for a name and a number."""
        last = next(
            (call for call in reversed(self._box.memory.calls) if call.name in ("book_slot", "free_slots")), None
        )
        waits = last is not None and last.name == "book_slot" and not last.succeeded and "slot" in last.arguments
        return str(last.arguments["slot"]) if waits and last else None

    def _since_asked_who(self, slot: str) -> int | None:
        """The turn in which the name and the number for this time were asked for first."""
        asked = [
            call.turn
            for call in self._box.memory.calls
            if call.name == "book_slot" and call.arguments.get("slot") == slot
        ]
        return asked[0] if asked else None

    def _newest(self, name: str) -> Called | None:
        found = [call for call in self._box.memory.calls if call.name == name and call.handles]
        return found[-1] if found else None


def _taken(asked: str, offered: Sequence[str]) -> int | None:
    """Words can only mean a time that was named."""
    place = pressed(asked, offered)
    return place if place is not None else chosen(asked, offered[:MOST_TIMES])


def _first(result: Mapping[str, Any]) -> Mapping[str, Any]:
    first: Mapping[str, Any] = result["services"][0]
    return first
