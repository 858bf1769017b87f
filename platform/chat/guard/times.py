"""Days and times in a sentence: each must be one that a tool has shown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, time, timedelta

from lead_orchestrator.chat.guard.evidence import Evidence
from lead_orchestrator.chat.guard.number_words import SMALL

__all__ = ["Times", "times"]

_HALF_DAY, _HOURS = 12, 24
_WEEKDAYS: Mapping[str, int] = {
    name: number
    for names in (
        "monday tuesday wednesday thursday friday saturday sunday",
        "mondays tuesdays wednesdays thursdays fridays saturdays sundays",
        "lunes martes miercoles jueves viernes sabado domingo",
        "_ _ _ _ _ sabados domingos",
        "mon tue wed thu fri _ _",
        "_ tues _ thurs _ _ _",
    )
    for number, name in enumerate(names.split())
    if name != "_"
}
_MONTHS: Mapping[str, int] = {
    name: number
    for names in (
        "january february march april may june july august september october november december",
        "jan feb mar apr may jun jul aug sep oct nov dec",
        "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
    )
    for number, name in enumerate(names.split(), start=1)
}
_MONTH = "|".join(sorted(_MONTHS, key=len, reverse=True))
_DATE = re.compile(
    rf"\b(?P<month>{_MONTH})\.? (?P<day>\d{{1,2}})(?:st|nd|rd|th)?\b(?!:)"
    rf"|\b(?:el )?(?P<day2>\d{{1,2}})(?:st|nd|rd|th)?(?: de| of)? (?P<month2>{_MONTH})\b"
    r"|\b(?P<year>20\d\d)-(?P<month3>\d\d)-(?P<day3>\d\d)\b|\b(?P<month4>\d{1,2})/(?P<day4>\d{1,2})(?:/\d{2,4})?\b"
)
_YEAR_AFTER = re.compile(r"(?:,| de|) (?:20\d\d)\b")
_RELATIVE = re.compile(
    r"\b(?P<today>today|tonight|hoy|this (?:morning|afternoon|evening)|esta tarde)\b"
    r"|\b(?P<after>day after tomorrow|pasado manana)\b|\b(?P<tomorrow>tomorrow|(?<!la )(?<!una )manana(?! por la manana por))\b"
)
_MORNING = re.compile(r"\b(?:por|de|en|a) la manana\b")
_WEEKDAY = re.compile(rf"\b(?:{'|'.join(sorted(_WEEKDAYS, key=len, reverse=True))})\b")
_HALF = r"\s*(?P<half>[ap])\.?\s?m\b\.?"
_HOURS_IN_WORDS = {word: value for word, value in SMALL.items() if 1 <= value <= _HALF_DAY} | {"una": 1, "once": 11}
_HOUR = "|".join(_HOURS_IN_WORDS)
_CLOCK = re.compile(
    rf"\b(?P<h>\d{{1,2}})[:.h](?P<m>[0-5]\d)(?!\d)(?:{_HALF})?|\b(?P<h2>\d{{1,2}}){_HALF.replace('half', 'half2')}"
    rf"|\b(?P<h3>\d{{1,2}}|{_HOUR}) (?:o'?clock|en punto)"
    rf"|\b(?P<past>half past|quarter past|quarter to) (?P<h4>\d{{1,2}}|{_HOUR})\b"
    rf"|\b(?:a|de|desde|hasta|son|es) las? (?P<h5>\d{{1,2}}|{_HOUR})(?: y (?P<past2>media|cuarto|quince|treinta))?(?![:\w]|\s*[$%])"
    rf"(?: de la (?P<part>manana|tarde|noche))?"
    rf"|\b(?:at|by|around|from|until|till|before|after) (?P<h6>\d{{1,2}}|{_HOUR})(?: (?P<m6>fifteen|thirty|forty five))?"
    rf"(?![:\w.]|\s*(?:[$%]|dollars?|bucks|hundred|thousand|percent|grand|minutes?|hours?|days?|weeks?))"
    r"|\b(?P<noon>noon|midday|mediodia)\b|\b(?P<midnight>midnight|medianoche)\b"
)
_PAST = {
    "half past": 30,
    "media": 30,
    "treinta": 30,
    "thirty": 30,
    "quarter past": 15,
    "cuarto": 15,
    "quince": 15,
    "fifteen": 15,
    "forty five": 45,
}


@dataclass(frozen=True)
class Times:
    """`wrong` says what is not shown; `text` is what remains without the days and times."""

    wrong: str | None
    text: str


@dataclass(frozen=True)
class _Day:
    """A date, or any day of that weekday."""

    at: int
    date: date | None
    weekday: int


def times(text: str, evidence: Evidence, today: date) -> Times:
    """Check the days and the times of `text`, and take them out of it."""
    days, without_days = _days(text, today)
    clock = list(_CLOCK.finditer(without_days))
    rest = _CLOCK.sub(lambda found: " " * len(found[0]), without_days)
    asks = text.rstrip().endswith("?")
    wrong = None
    if not all(_day_is_shown(day, evidence) or (asks and not clock) for day in days):
        wrong = "a day that no tool has shown"
    elif not all(_shown(found, _day_of(days, found.start()), evidence) for found in clock):
        wrong = "a time that no tool has shown"
    return Times(wrong, rest)


def _days(text: str, today: date) -> tuple[list[_Day], str]:
    shown = _MORNING.sub(lambda found: " " * len(found[0]), text)
    found: list[_Day] = []

    def take(match: re.Match[str]) -> str:
        found.extend(_read(match, today))
        return " " * len(match[0])

    for pattern in (_DATE, _RELATIVE, _WEEKDAY):
        shown = pattern.sub(take, shown)
    return sorted(found, key=lambda day: day.at), _YEAR_AFTER.sub(
        lambda year: " " * len(year[0]), shown
    ) if found else shown


def _read(match: re.Match[str], today: date) -> Iterator[_Day]:
    if match.re is _WEEKDAY:
        yield _Day(match.start(), None, _WEEKDAYS[match[0]])
        return
    if match.re is _RELATIVE:
        ahead = 0 if match["today"] else 2 if match["after"] else 1
        day = today + timedelta(days=ahead)
        yield _Day(match.start(), day, day.weekday())
        return
    month = match["month"] or match["month2"] or match["month3"] or match["month4"]
    number = int(match["day"] or match["day2"] or match["day3"] or match["day4"])
    try:
        dated = date(int(match["year"] or today.year), _MONTHS.get(month) or int(month), number)
    except ValueError:
        dated = date.min
    if not match["year"] and date.min < dated < today - timedelta(days=31):
        dated = dated.replace(year=dated.year + 1)
    yield _Day(match.start(), dated, dated.weekday())


def _day_of(days: list[_Day], at: int) -> list[_Day]:
    """The days that a time at this place belongs to: those right before it, else those after."""
    before = [day for day in days if day.at < at]
    return before[-1:] or days[:1]


def _day_is_shown(day: _Day, evidence: Evidence) -> bool:
    dates = evidence.days | {moment.date() for moment in evidence.moments}
    if day.date is not None:
        return day.date in dates
    return evidence.week or any(known.weekday() == day.weekday for known in dates)


def _shown(found: re.Match[str], days: list[_Day], evidence: Evidence) -> bool:
    walls = set(_walls(found))
    for moment in evidence.moments:
        if moment.time() in walls and all(_same(day, moment.date()) for day in days):
            return True
    return any(wall in walls and all(day.weekday == weekday for day in days) for weekday, wall in evidence.hours)


def _same(day: _Day, other: date) -> bool:
    return day.date == other if day.date is not None else day.weekday == other.weekday()


def _walls(found: re.Match[str]) -> Iterator[time]:
    """What the clock may show: without am or pm either half of the day."""
    if found["noon"] or found["midnight"]:
        yield time(12 if found["noon"] else 0)
        return
    hour = next(found[name] for name in ("h", "h2", "h3", "h4", "h5", "h6") if found[name])
    number = _HOURS_IN_WORDS.get(hour) or int(hour)
    past = found["past"] or found["past2"] or found["m6"]
    minutes = int(found["m"]) if found["m"] else _PAST.get(past or "", 0)
    if past == "quarter to":
        number, minutes = (number - 1) or _HALF_DAY, 45
    half = found["half"] or found["half2"] or {"manana": "a", "tarde": "p", "noche": "p"}.get(found["part"] or "", "")
    if not 0 <= number <= _HOURS or (half and not 1 <= number <= _HALF_DAY):
        return
    if half:
        yield time(number % _HALF_DAY + (_HALF_DAY if half == "p" else 0), minutes)
        return
    yield time(number % _HOURS, minutes)
    if number <= _HALF_DAY:
        yield time(number % _HALF_DAY + _HALF_DAY, minutes)
        yield time(number % _HALF_DAY, minutes)
