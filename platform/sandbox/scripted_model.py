"""A model without a mind: rules that read the conversation, call the tools and speak from their results, in English and Spanish.

It never makes up a price or a time. What it understands: a price, the hours, free times, taking one of them, a name and a
number, a person, thanks.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

__all__ = ["Conversation", "Reply", "reply"]

MOST_TIMES = 4
"""It names so many of those that it may offer."""

Call = tuple[str, str]
"""A tool's name and its arguments as JSON."""


@dataclass(frozen=True)
class Reply:
    """What the model says, or the tools it wants called."""

    text: str = ""
    calls: Sequence[Call] = ()


@dataclass(frozen=True)
class Result:
    """What a tool answered."""

    name: str
    data: Mapping[str, Any]


@dataclass
class Conversation:
    """The request as the protocol has it."""

    messages: Sequence[Mapping[str, Any]]
    tools: Sequence[str] = field(default_factory=tuple)

    @cached_property
    def _last(self) -> int:
        """Where the customer's newest words are."""
        return max((at for at, one in enumerate(self.messages) if one.get("role") == "user"), default=-1)

    @cached_property
    def asked(self) -> str:
        """The customer's words since somebody answered."""
        words: list[str] = []
        for one in reversed(self.messages[: self._last + 1]):
            if one.get("role") == "assistant" and one.get("content"):
                break
            if one.get("role") == "user":
                words.insert(0, str(one.get("content") or ""))
        return "\n".join(words)

    @property
    def system(self) -> str:
        return "\n".join(str(one.get("content")) for one in self.messages if one.get("role") == "system")

    @cached_property
    def earlier(self) -> list[Result]:
        """What the tools answered before the newest question."""
        return list(self._results(self.messages[: self._last]))

    @cached_property
    def now(self) -> list[Result]:
        """What they answered to it."""
        return list(self._results(self.messages[self._last :]))

    @cached_property
    def spanish(self) -> bool:
        said = [str(one.get("content") or "") for one in self.messages if one.get("role") == "user"]
        return any(_SPANISH.search(text) for text in said)

    def newest(self, key: str) -> list[Mapping[str, Any]]:
        """The newest list of this name that a tool answered with."""
        for result in reversed([*self.earlier, *self.now]):
            found = result.data.get(key)
            if isinstance(found, list) and found:
                return found
        return []

    def _results(self, messages: Sequence[Mapping[str, Any]]) -> Iterator[Result]:
        names = {call["id"]: call["function"]["name"] for one in self.messages for call in one.get("tool_calls") or ()}
        for one in messages:
            if one.get("role") == "tool":
                yield Result(str(names.get(one.get("tool_call_id"))), _object(one.get("content")))


_SPANISH = re.compile(
    r"[¿¡ñ]|\b(?:hola|cu[aá]nto|cuesta|precio|quiero|gracias|cita|abren|cierran|horario|ma[nñ]ana|ventanas?|polarizad\w+|por favor"
    r"|s[ií],? por|para|puedo|tienen|est[aá]n?|hablar|una|el|los|d[ií]a)\b",
    re.IGNORECASE,
)
_PERSON = re.compile(
    r"\b(?:human|real person|a person|someone|somebody|manager|agent|representative|call me|talk to (?:a|some)|persona|humano|alguien"
    r"|gerente|encargado|ll[aá]m[ea]me)\b",
    re.IGNORECASE,
)
_HOURS = re.compile(
    r"\b(?:hours|what time do you (?:open|close)|when do you (?:open|close)|are you open|open on|you open|close today|horarios?"
    r"|abren|cierran|abiertos?|a qu[eé] hora)\b",
    re.IGNORECASE,
)
_PRICE = re.compile(
    r"\b(?:how much|prices?|pricing|costs?|quote|estimate|charge|rates?|cu[aá]nto|cuestan?|precios?|vale|cotizaci[oó]n)\b",
    re.IGNORECASE,
)
_TIMES = re.compile(
    r"\b(?:book\w*|appointments?|schedule|available|availability|slots?|openings?|free|come in|when can|what times?|later|next week"
    r"|(?:other|another) (?:times?|day)|tomorrow|(?:mon|tues|wednes|thurs|fri|satur|sun)day|cita|agendar|reserv\w+|disponib\w+|libres?"
    r"|otro d[ií]a|ma[nñ]ana|lunes|martes|mi[eé]rcoles|jueves|viernes|s[aá]bado|domingo|cu[aá]ndo)\b",
    re.IGNORECASE,
)
_ANOTHER = re.compile(r"\b(?:other|another|later|different|otr[ao]s?|m[aá]s tarde)\b", re.IGNORECASE)
_TAKE = re.compile(
    r"\b(?:yes|yeah|yep|ok|okay|sure|perfect|works|great|take|book (?:it|that|me)|first|second|third|s[ií]|dale|claro|perfecto|va"
    r"|last|primer[ao]?|segund[ao]|tercer[ao]?|[uú]ltim[ao]|tomo|res[eé]rv\w+|confirm\w*)\b",
    re.IGNORECASE,
)
_THANKS = re.compile(r"\b(?:thanks|thank you|bye|gracias|adi[oó]s|hasta luego)\b", re.IGNORECASE)
_PLACES = ((r"\b(?:second|2nd|segund[ao])\b", 1), (r"\b(?:third|3rd|tercer[ao]?)\b", 2), (r"\blast|[uú]ltim[ao]\b", -1))
_CLOCK = re.compile(r"\b(\d{1,2})(?::(\d\d))?\s*(a\.?m\.?|p\.?m\.?)?(?![\w$])", re.IGNORECASE)
_PHONE = re.compile(r"\+?[\d][\d\s().-]{8,}\d")
_MOMENT = re.compile(r"\b\d{4}-\d\d-(\d\d) (\d\d):(\d\d)\b")
"""As the chat page's buttons write a time that was offered."""
_NAME = re.compile(
    r"(?:my name is|i am|i'm|this is|me llamo|soy|mi nombre es)\s+([^\W\d_]+(?:\s+[^\W\d_]+)?)", re.IGNORECASE
)


def reply(conversation: Conversation) -> Reply:
    """The next step: a tool, or the answer."""
    speak = _Spanish() if conversation.spanish else _English()
    if conversation.now:
        return _after(conversation, conversation.now[-1], speak)
    return _first(conversation, speak)


def _first(conversation: Conversation, speak: _English) -> Reply:
    """What to do about the newest question, by the first rule that says something."""
    asked, chosen, contact = conversation.asked, _chosen(conversation), _contact(conversation)
    if _PERSON.search(asked):
        return _call("hand_over", reason="asked for a person")
    if chosen or (contact and conversation.newest("free")):
        return _call("book_slot", slot=chosen or conversation.newest("free")[0]["slot"], **contact)
    rules: Sequence[tuple[re.Pattern[str], Callable[[], Reply]]] = (
        (_HOURS, lambda: _call("opening_hours")),
        (_PRICE, lambda: _call("search_services", query=asked)),
        (_TIMES, lambda: _free(conversation)),
        (_THANKS, lambda: Reply(speak.welcome)),
        (_TAKE, lambda: _free(conversation) if conversation.newest("services") else Reply(speak.greeting)),
    )
    for pattern, answer in rules:
        if pattern.search(asked):
            return answer()
    return _call("search_services", query=asked) if _words(asked) > 1 else Reply(speak.greeting)


def _after(conversation: Conversation, result: Result, speak: _English) -> Reply:
    """Speak from a result, or go on to the next tool."""
    if result.name == "search_services":
        return _found(conversation, result.data.get("services", []), speak)
    return Reply(speak.of(result))


def _found(conversation: Conversation, services: Sequence[Mapping[str, Any]], speak: _English) -> Reply:
    if services and _TIMES.search(conversation.asked) and not _PRICE.search(conversation.asked):
        return _free(conversation)
    return Reply(speak.prices(services[:3]) if services else speak.unknown)


def _free(conversation: Conversation) -> Reply:
    services = conversation.newest("services")
    if not services:
        return _call("search_services", query=conversation.asked)
    return _call("free_slots", services=[_meant(conversation, services)], from_date=None, to_date=None, near=None)


def _meant(conversation: Conversation, services: Sequence[Mapping[str, Any]]) -> str:
    """The service whose name has most of the customer's words; the first one if none has any."""
    words = set(re.findall(r"\w+", conversation.asked.lower()))

    def shared(service: Mapping[str, Any]) -> int:
        return len(words & set(re.findall(r"\w+", str(service["name"]).lower())))

    return str(max(services, key=shared)["service"])


def _chosen(conversation: Conversation) -> str | None:
    """The slot that the customer takes, of those that were offered last."""
    offered, asked = conversation.newest("free"), conversation.asked
    if not offered or _PRICE.search(asked) or _ANOTHER.search(asked):
        return None
    for day, hour, minutes in _MOMENT.findall(asked):
        for slot in offered:
            if _wall(str(slot["when"])) == (int(hour), minutes) and _day(str(slot["when"])) == int(day):
                return str(slot["slot"])
    for hour, minutes, half in _CLOCK.findall(_PHONE.sub(" ", _MOMENT.sub(" ", asked))):
        for slot in offered:
            if _says(str(slot["when"]), int(hour), minutes or "00", half):
                return str(slot["slot"])
    place = next((at for pattern, at in _PLACES if re.search(pattern, asked, re.IGNORECASE)), 0)
    spoken = offered[:MOST_TIMES]
    if not _TAKE.search(asked) or not -len(spoken) <= place < len(spoken):
        return None
    return str(spoken[place]["slot"])


def _says(when: str, hour: int, minutes: str, half: str) -> bool:
    """Whether a time that was offered is the one that is asked for; without `half` the day has it twice."""
    shown = _wall(when)
    if shown is None or shown[1] != minutes:
        return False
    if half:
        return shown[0] == hour % 12 + (12 if half[:1].lower() == "p" else 0)
    return shown[0] % 12 == hour % 12


def _wall(when: str) -> tuple[int, str] | None:
    """The hour, of 24, and the minutes of a time that was offered."""
    found = re.search(r"(\d{1,2}):(\d\d)(?:\s*([AP])M)?", when)
    if found is None:
        return None
    return (int(found[1]) % 12 + (12 if found[3] == "P" else 0) if found[3] else int(found[1])), found[2]


def _day(when: str) -> int | None:
    """The day of the month: it is written before the time, in both languages."""
    found = re.search(r"\d+", when)
    return int(found[0]) if found else None


def _contact(conversation: Conversation) -> dict[str, str]:
    name, phone = _NAME.search(conversation.asked), _PHONE.search(_MOMENT.sub(" ", conversation.asked))
    return {"name": name[1], "phone": phone[0]} if name and phone else {}


def _call(tool: str, /, **arguments: object) -> Reply:
    if tool == "book_slot":
        arguments = {"name": None, "phone": None, **arguments}
    return Reply(calls=((tool, json.dumps(arguments)),))


def _words(text: str) -> int:
    return len(re.findall(r"\w{3,}", text))


def _object(content: object) -> Mapping[str, Any]:
    try:
        data = json.loads(str(content))
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


class _English:
    """What it says; every price and time is a tool's."""

    greeting = (
        "Hello! I can tell you our prices and opening hours, and book a time for you. What would you like to know?"
    )
    welcome = "You're welcome! Have a great day."
    handed = "I am passing you on to a colleague."
    full = "I see nothing free in the next days. Shall I ask a colleague to get in touch with you?"
    unknown = "I could not find that in our list of services. What would you like to have done to your car?"
    service: Callable[[Mapping[str, Any]], str] = staticmethod(
        lambda one: (
            f"{one['name']} is {one['price']}."
            if one.get("price")
            else f"{one['name']}: a colleague can tell you the price."
        )
    )

    def of(self, result: Result) -> str:
        """What to say about what a tool did."""
        data = result.data
        if result.name == "hand_over":
            return self.handed
        if result.name == "opening_hours":
            return self.hours(data.get("hours", []))
        if result.name == "free_slots":
            return self.free(data.get("free", []))
        return self.booked(data) if "booked" in data else self.not_booked(data)

    def prices(self, services: Sequence[Mapping[str, Any]]) -> str:
        return " ".join([*(self.service(one) for one in services), "Would you like to see some free times?"])

    def hours(self, lines: Sequence[str]) -> str:
        return f"These are our opening hours. {'; '.join(lines)}." if lines else self.full

    def free(self, slots: Sequence[Mapping[str, Any]]) -> str:
        if not slots:
            return self.full
        return (
            f"I can offer you these times: {'; '.join(one['when'] for one in slots[:MOST_TIMES])}. Which one suits you?"
        )

    def booked(self, data: Mapping[str, Any]) -> str:
        return f"You are booked for {data['booked']}. We look forward to seeing you!"

    def not_booked(self, data: Mapping[str, Any]) -> str:
        if data.get("needs"):
            return "Gladly. What is your name, and which phone number can we reach you at?"
        return "I am sorry, that time is no longer free. Shall I look for other times?"


class _Spanish(_English):
    greeting = "¡Hola! Le puedo decir nuestros precios y el horario, y reservar una cita. ¿Qué le gustaría saber?"
    welcome = "¡De nada! Que tenga un buen día."
    handed = "Le paso con un compañero."
    full = "No veo nada libre en los próximos días. ¿Quiere que un compañero le contacte?"
    unknown = "No lo encuentro en nuestra lista de servicios. ¿Qué le gustaría hacer en su auto?"
    service = staticmethod(
        lambda one: (
            f"{one['name']} cuesta {one['price']}."
            if one.get("price")
            else f"{one['name']}: un compañero le puede decir el precio."
        )
    )

    def prices(self, services: Sequence[Mapping[str, Any]]) -> str:
        return " ".join([*(self.service(one) for one in services), "¿Quiere ver algunas horas libres?"])

    def hours(self, lines: Sequence[str]) -> str:
        return f"Este es nuestro horario. {'; '.join(lines)}." if lines else self.full

    def free(self, slots: Sequence[Mapping[str, Any]]) -> str:
        if not slots:
            return self.full
        return (
            f"Le puedo ofrecer estas horas: {'; '.join(one['when'] for one in slots[:MOST_TIMES])}. ¿Cuál le conviene?"
        )

    def booked(self, data: Mapping[str, Any]) -> str:
        return f"Su cita está reservada: {data['booked']}. ¡Le esperamos!"

    def not_booked(self, data: Mapping[str, Any]) -> str:
        if data.get("needs"):
            return "Con gusto. ¿Cómo se llama, y en qué número le podemos llamar?"
        return "Lo siento, esa hora ya no está libre. ¿Busco otras?"
