"""What a customer's words ask for, as far as rules of words can tell, in English and Spanish."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, time, timedelta
from enum import StrEnum

from lead_orchestrator.messaging.plain_words import plain

__all__ = ["Contact", "Wish", "chosen", "contact", "day_asked", "is_angry", "pressed", "time_asked", "wishes"]


class Wish(StrEnum):
    PERSON = "PERSON"
    HOURS = "HOURS"
    PRICE = "PRICE"
    TIMES = "TIMES"
    YES = "YES"
    NO = "NO"
    THANKS = "THANKS"
    GREETING = "GREETING"


_WORDS: dict[Wish, tuple[str, ...]] = {
    Wish.PERSON: (
        r"human|real person|(?:a|any|some) ?(?:person|body|one)|manager|agent|representative|operator|call me",
        r"speak (?:to|with)|talk (?:to|with)|persona|humano|alguien|gerente|encargad[oa]|llam[ae](?:me|nme)|hablar con",
    ),
    Wish.HOURS: (
        r"hours|are you (?:still )?open|you open|you close|closing time|where are you|address",
        r"horarios?|abren|cierran|abiert[oa]s?|a que hora|direccion|donde (?:estan|quedan)|ubicad[oa]s?",
    ),
    Wish.PRICE: (
        r"how much|prices?|pricing|costs?|quote|estimate|charge|rates?",
        r"cuanto|cuestan?|precios?|vale|cotizacion|presupuesto",
    ),
    Wish.TIMES: (
        r"book\w*|appointments?|appt|schedul\w+|availab\w+|slots?|openings?|free|come (?:in|by)|bring it|when can|what times?|how soon",
        r"earliest|today|tomorrow|morning|afternoon|this week|next week|(?:mon|tues|wednes|thurs|fri|satur|sun)days?",
        r"other times?|another (?:time|day)|later|cita|agendar|reserv\w+|disponib\w+|libres?|cuando|hoy|manana|por la tarde",
        r"lunes|martes|miercoles|jueves|viernes|sabado|domingo|otr[ao] (?:hora|dia)",
    ),
    Wish.YES: (
        r"yes|yeah|yep|yup|ok|okay|sure|please do|perfect|sounds good|works|book it|go ahead",
        r"si|dale|claro|perfecto|de acuerdo|vale|por supuesto",
    ),
    Wish.NO: (r"no|nope|none|neither|not (?:that|those|any)|ningun[oa]?|tampoco",),
    Wish.THANKS: (r"thanks|thank you|thx|bye|goodbye|gracias|adios|hasta luego|nos vemos",),
    Wish.GREETING: (r"hi|hello|hey|good (?:morning|afternoon|evening)|hola|buen[oa]s?(?: dias| tardes| noches)?",),
}
_PATTERNS = {wish: re.compile(rf"\b(?:{'|'.join(words)})\b") for wish, words in _WORDS.items()}
_ANGER = re.compile(
    r"\b(?:scam\w*|rip ?off|ridiculous|terrible|awful|worst|useless|stupid|idiots?|bullshit|fuck\w*|shit\w*|pissed|furious|lawyer"
    r"|sue you|unacceptable|estafa\w*|pesimo|inutil\w*|idiotas?|estupid\w+|mierda|ladrones|robo|abogado|inaceptable|hart[oa])\b"
)
_ORDINALS = (
    (r"first|1st|primer[ao]?|earliest", 0),
    (r"second|2nd|segund[ao]", 1),
    (r"third|3rd|tercer[ao]?", 2),
    (r"fourth|4th|cuart[ao]", 3),
    (r"last|latest|ultim[ao]", -1),
)
_CLOCK = re.compile(r"\b(\d{1,2})(?:[:h](\d\d))?\s*(a|p)?\.?\s?(?:m\b)?", re.IGNORECASE)
_TIME_OF_DAY = (
    (r"(?:in the |this |tomorrow )?morning|por la manana|de la manana", time(9)),
    (r"noon|midday|mediodia", time(12)),
    (r"afternoon|por la tarde|de la tarde", time(14)),
    (r"evening|por la noche", time(17)),
)
_DAYS = (
    "monday|mon|lunes",
    "tuesday|tues|tue|martes",
    "wednesday|wed|miercoles",
    "thursday|thurs|thu|jueves",
    "friday|fri|viernes",
    "saturday|sat|sabado",
    "sunday|sun|domingo",
)
_PHONE = re.compile(r"\+?\d[\d\s().-]{8,}\d")
_CALLED = re.compile(
    r"(?:my name is|name's|i am|i'm|this is|me llamo|mi nombre es|soy)\s+([^\W\d_][\w'-]*(?:\s+[^\W\d_][\w'-]*){0,2})",
    re.IGNORECASE,
)
_NOT_A_NAME = re.compile(
    r"\b(?:and|y|my|mi|number|numero|número|phone|tel[eé]fono|is|es|it's|at|call|cell|the|el|name|nombre)\b",
    re.IGNORECASE,
)
_HALF_DAY, _NAME_WORDS, _HOURS = 12, 3, 24
_WEEK = 7


@dataclass(frozen=True)
class Contact:
    """What somebody wrote about who they are."""

    name: str | None
    phone: str | None


def wishes(text: str) -> frozenset[Wish]:
    """All that the words ask for."""
    words = plain(text)
    return frozenset(wish for wish, found in _PATTERNS.items() if found.search(words))


def is_angry(text: str) -> bool:
    """Whether a person had better look after this customer."""
    letters = [letter for letter in text if letter.isalpha()]
    shouts = len(letters) > _HOURS and sum(letter.isupper() for letter in letters) > 0.8 * len(letters)
    return _ANGER.search(plain(text)) is not None or (shouts and "!" in text)


def pressed(text: str, offered: Sequence[str]) -> int | None:
    """Which of the offered local times the words are, as a button of the chat page says it."""
    return next((at for at, when in enumerate(offered) if when in text), None)


def chosen(text: str, offered: Sequence[str]) -> int | None:
    """Which of the offered local times (`Tue 2026-12-01 10:00`) the words take; None if none, or if several may be meant."""
    if not offered:
        return None
    walls = [time.fromisoformat(when[-5:]) for when in offered]
    days = [_day_name(text, when) for when in offered]
    for asked in _times(text):
        found = [at for at, wall in enumerate(walls) if wall in asked and days[at]]
        if found:
            return found[0]
    words = plain(text)
    for pattern, place in _ORDINALS:
        if re.search(rf"\b(?:{pattern})\b", words) and place < len(offered):
            return place % len(offered)
    found = [at for at in range(len(offered)) if days[at]]
    named = any(re.search(rf"\b(?:{names})\b", words) for names in _DAYS)
    if len(found) == 1 and (named or Wish.YES in wishes(text)):
        return found[0]
    return None


def _day_name(text: str, when: str) -> bool:
    """Whether the words name this day, or none at all."""
    words = plain(text)
    asked = [number for number, names in enumerate(_DAYS) if re.search(rf"\b(?:{names})\b", words)]
    return not asked or date.fromisoformat(when[4:14]).weekday() in asked


def _times(text: str) -> list[set[time]]:
    """The times of day in the words, each as what it can mean."""
    found: list[set[time]] = []
    for hour, minutes, half in _CLOCK.findall(_PHONE.sub(" ", text)):
        number, past = int(hour), int(minutes or 0)
        if not 0 <= number < _HOURS or past > 59:  # noqa: PLR2004  # minutes
            continue
        if half and 1 <= number <= _HALF_DAY:
            found.append({time(number % _HALF_DAY + (_HALF_DAY if half.lower() == "p" else 0), past)})
        elif number <= _HALF_DAY:
            found.append({time(number % _HOURS, past), time(number % _HALF_DAY + _HALF_DAY, past)})
        else:
            found.append({time(number, past)})
    return found


def day_asked(text: str, today: date) -> tuple[date, date] | None:
    """The first and the last day that the words ask about; None if they name none."""
    words = re.sub(r"\b(?:por|de|en) la manana\b", " ", plain(text))
    if re.search(r"\bpasado manana\b|\bday after tomorrow\b", words):
        return today + timedelta(days=2), today + timedelta(days=2)
    if re.search(r"\b(?:tomorrow|manana)\b", words):
        return today + timedelta(days=1), today + timedelta(days=1)
    if re.search(r"\b(?:today|hoy|tonight)\b", words):
        return today, today
    if re.search(r"\b(?:next week|proxima semana|semana que viene)\b", words):
        monday = today + timedelta(days=_WEEK - today.weekday())
        return monday, monday + timedelta(days=_WEEK - 1)
    for number, names in enumerate(_DAYS):
        if re.search(rf"\b(?:{names})s?\b", words):
            on = today + timedelta(days=(number - today.weekday()) % _WEEK)
            return on, on
    return None


def time_asked(text: str) -> time | None:
    """The time of day that the words prefer."""
    words = plain(text)
    stated = re.search(r"\b(?:at|around|after|about|las)\s+(\d{1,2})(?::(\d\d))?\s*([ap])?", text, re.IGNORECASE)
    if stated and int(stated[1]) < _HOURS:
        options = sorted(_times(stated[0])[0])
        return next((wall for wall in options if wall.hour >= 7), options[0])  # noqa: PLR2004  # shops are not open at night
    return next((wall for pattern, wall in _TIME_OF_DAY if re.search(rf"\b(?:{pattern})\b", words)), None)


def contact(texts: Sequence[str]) -> Contact:
    """The name and the number that stand in any of these texts, the newest first."""
    name = phone = None
    for text in reversed(texts):
        found = _PHONE.search(text)
        phone = phone or (found[0] if found else None)
        name = name or _name(text)
    return Contact(name, phone)


def _name(text: str) -> str | None:
    called = _CALLED.search(text)
    rest = called[1] if called else _PHONE.sub(" ", text)
    words = re.findall(r"[^\W\d_][\w'-]*", _NOT_A_NAME.sub(" ", rest))
    if not words or len(words) > _NAME_WORDS or (called is None and wishes(text)):
        return None
    return " ".join(words)
