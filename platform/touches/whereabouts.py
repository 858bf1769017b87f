"""Where a customer is, as far as it matters for the time of day and a state's law."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import phonenumbers
from phonenumbers import timezone

from lead_orchestrator.touches.prefixes import AREA_STATES, AREA_ZONES, POSTAL_STATES, POSTAL_ZONES

__all__ = ["Whereabouts", "known_zone", "locate"]

_ZIP = re.compile(r"(\d{3})\d{2}(-?\d{4})?")
_NORTH_AMERICA = "+1"
_NORTH_AMERICAN_CODE = 1
# What browsers say that hide where they are; nobody's customers live there.
_MASKS = re.compile(r"(Etc/.*|UTC|GMT|Zulu|Universal|Atlantic/Reykjavik)")


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """The zones the person may be in, one at least, and the states of the US whose law may hold for them.

    `known_by` says in words what the zones were taken from.
    """

    zones: tuple[ZoneInfo, ...]
    states: tuple[str, ...]
    known_by: str


def locate(stated: str | None, postal_code: str | None, phone: str | None, shop: str) -> Whereabouts:
    """The zone the customer stated, else those of the ZIP code, else those of the number's area, else the shop's.

    States count twice: a state's law may follow where somebody lives and (Fla. Stat. 501.059(8)(d)) the area code.
    `phone` is in E.164.
    """
    prefix = _zip_prefix(postal_code, phone)
    area = phone[2:5] if phone and phone.startswith(_NORTH_AMERICA) else ""
    states = tuple(sorted({*_POSTAL_STATES.get(prefix, ()), *_AREA_STATES.get(area, ())}))
    zone = known_zone(stated) if stated else None
    if zone is not None and (not _MASKS.fullmatch(zone.key)):
        return Whereabouts((zone,), states, "the customer's zone")
    if zones := _POSTAL_ZONES.get(prefix):
        return Whereabouts(zones, states, "by the postal code")
    if zones := _AREA_ZONES.get(area) or _zones_of_number(phone):
        return Whereabouts(zones, states, "by the area code")
    return Whereabouts((ZoneInfo(shop),), states, "the shop's zone")


def known_zone(name: str) -> ZoneInfo | None:
    """The zone of that IANA name, if there is one."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def _zip_prefix(postal_code: str | None, phone: str | None) -> str:
    """Five digits are a ZIP code unless the person's number is of a country that writes its own like that."""
    if not postal_code or (phone and not phone.startswith(_NORTH_AMERICA)):
        return ""
    match = _ZIP.fullmatch(postal_code.strip())
    return match[1] if match else ""


def _zones_of_number(phone: str | None) -> tuple[ZoneInfo, ...]:
    """Every zone a number may be in; none for one that says nothing, such as a toll-free one that a continent shares."""
    try:
        number = phonenumbers.parse(phone) if phone else None
    except phonenumbers.NumberParseException:
        return ()
    if number is None or not number.country_code:
        return ()
    local = phonenumbers.is_number_type_geographical(phonenumbers.number_type(number), number.country_code)
    if not local and number.country_code == _NORTH_AMERICAN_CODE:
        return ()
    found = _zones(tuple(timezone.time_zones_for_number(number)))
    return found or _zones(tuple(timezone.time_zones_for_geographical_number(number)))  # a range newer than its tables


@lru_cache(maxsize=1024)
def _zones(names: tuple[str, ...]) -> tuple[ZoneInfo, ...]:
    found = [known_zone(name) for name in names if name != timezone.UNKNOWN_TIMEZONE]
    return tuple(zone for zone in found if zone is not None)


def _by_prefix(table: Mapping[str, str]) -> dict[str, list[str]]:
    """The table turned round: what each three digits stand for."""
    turned: dict[str, list[str]] = {}
    for name, prefixes in table.items():
        for part in prefixes.split():
            first, _, last = part.partition("-")
            for number in range(int(first), int(last or first) + 1):
                turned.setdefault(f"{number:03}", []).append(name)
    return turned


_POSTAL_STATES = _by_prefix(POSTAL_STATES)
_AREA_STATES = _by_prefix(AREA_STATES)
_POSTAL_ZONES = {prefix: _zones(tuple(names)) for prefix, names in _by_prefix(POSTAL_ZONES).items()}
_AREA_ZONES = {area: _zones(tuple(names)) for area, names in _by_prefix(AREA_ZONES).items()}
