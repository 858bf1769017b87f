from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

import phonenumbers
import pytest
from phonenumbers import timezone

from lead_orchestrator.touches.prefixes import AREA_STATES, AREA_ZONES, POSTAL_ZONES
from lead_orchestrator.touches.whereabouts import Whereabouts, locate

SHOP = "America/Los_Angeles"
# A ZIP code of each (prefix, state, zone) there is, from the PyPI package zipcodes 3.0.0.
PLACES = [line.split() for line in (Path(__file__).parent / "places.txt").read_text().splitlines()]


def zones(place: Whereabouts) -> list[str]:
    return [zone.key for zone in place.zones]


@cache
def clock(zone: str) -> tuple[object, ...]:
    """What the zone's clock shows through the years that matter: two zones with the same are one to us."""
    noons = [
        datetime(year, month, day, 12, tzinfo=UTC)
        for year in (2021, 2026, 2030)
        for month in (1, 3, 4, 7, 10, 11)
        for day in (2, 9, 16)
    ]
    return tuple(noon.astimezone(ZoneInfo(zone)).utcoffset() for noon in noons)


@pytest.mark.parametrize(
    ("stated", "postal_code", "phone", "expected", "known_by"),
    [
        ("America/Denver", "10001", "+13125550101", ["America/Denver"], "the customer's zone"),
        ("Europe/Vienna", None, None, ["Europe/Vienna"], "the customer's zone"),
        ("Mars/Olympus", "10001", "+13125550101", ["America/New_York"], "by the postal code"),
        ("America", "10001-1234", None, ["America/New_York"], "by the postal code"),
        ("../../etc/passwd", "100011234", None, ["America/New_York"], "by the postal code"),
        (None, " 37405 ", "+13125550101", ["America/Chicago", "America/New_York"], "by the postal code"),
        (None, "1000", "+13125550101", ["America/Chicago"], "by the area code"),
        (None, "K1A 0B1", "+16135550101", ["America/Toronto"], "by the area code"),
        (None, "09012", None, [SHOP], "the shop's zone"),  # a military address may be anywhere
        (None, None, "+14235550101", ["America/Chicago", "America/New_York"], "by the area code"),
        (None, None, "+12085550101", ["America/Boise", "America/Los_Angeles"], "by the area code"),
        (None, None, "+441632960101", ["Europe/London"], "by the area code"),
        (None, "10115", "+493023125101", ["Europe/Berlin"], "by the area code"),  # five digits are Berlin's here
        (None, None, "+18005550101", [SHOP], "the shop's zone"),
        (None, None, "+15555550101", [SHOP], "the shop's zone"),
        (None, None, "no number", [SHOP], "the shop's zone"),
        (None, None, None, [SHOP], "the shop's zone"),
    ],
)  # fmt: skip
def test_the_first_that_is_known_names_the_zones(
    stated: str | None, postal_code: str | None, phone: str | None, expected: list[str], known_by: str
) -> None:
    place = locate(stated, postal_code, phone, SHOP)

    assert (zones(place), place.known_by) == (expected, known_by)


@pytest.mark.parametrize("mask", ["UTC", "Etc/UTC", "Etc/GMT+12", "GMT", "Atlantic/Reykjavik"])
def test_a_browser_that_hides_its_zone_has_stated_none(mask: str) -> None:
    assert zones(locate(mask, "10001", None, SHOP)) == ["America/New_York"]


def test_a_mobile_number_of_a_country_with_many_zones_may_be_in_each() -> None:
    assert {"Australia/Perth", "Australia/Sydney"} <= set(zones(locate(None, None, "+61491570156", SHOP)))


def test_states_follow_the_home_and_the_area_code_even_where_the_zone_is_stated() -> None:
    assert locate("America/Denver", "33101", "+12145550101", SHOP).states == ("FL", "TX")
    assert locate(None, None, None, SHOP).states == ()


def test_each_place_of_the_us_is_among_what_its_postal_code_can_mean() -> None:
    for code, state, zone in PLACES:
        place = locate(None, code, None, "Asia/Tokyo")
        assert state in place.states, code
        assert clock(zone) in {clock(name) for name in zones(place)}, code


def test_each_area_code_of_the_us_has_a_state_and_the_zones_phonenumbers_knows() -> None:
    for state, codes in AREA_STATES.items():
        for code in codes.split():
            place = locate(None, None, f"+1{code}5550101", "Asia/Tokyo")
            assert place.states == (state,)
            theirs = timezone.time_zones_for_number(phonenumbers.parse(f"+1{code}5550101"))
            known = {clock(name) for name in zones(place)}
            if code not in {"689", "684"}:  # Orlando is said to be in Chicago, Samoa is not known
                assert {clock(name) for name in theirs} <= known, code


def test_every_zone_of_the_tables_exists() -> None:
    assert {*AREA_ZONES, *POSTAL_ZONES} <= available_timezones()
