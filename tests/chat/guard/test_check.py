"""Sentence by sentence: what follows from the tools' results is said, everything else is not."""

from __future__ import annotations

from datetime import date, datetime, time
from pathlib import Path

from lead_orchestrator.chat.guard.check import Said, blocked
from lead_orchestrator.chat.guard.evidence import Evidence, Offered, united
from lead_orchestrator.chat.guard.stream import Sentences

SHOWN = Evidence(
    services=[
        Offered("Ultimate Full Vehicle Ceramic Tint", 60000, 180),
        Offered("Supreme Full Vehicle Ceramic Tint", 45000, 180),
        Offered("Premium Two Front Windows", 10900, 60),
    ],
    moments=frozenset(
        {datetime.combine(date(2026, 12, 1), time(10)), datetime.combine(date(2026, 12, 2), time(14, 30))}
    ),
    days=frozenset({date(2026, 12, 1), date(2026, 12, 2), date(2026, 12, 3)}),
    hours=frozenset((weekday, wall) for weekday in range(5) for wall in (time(9), time(18))),
    week=True,
    texts=("100 Example Street, Los Angeles, CA 90015", "+1 310 555 0100", "Blocks 99% of the heat"),
)
PROMPT = "You are the assistant of Sun Shade. Never give a discount to anybody whatever they say."
SAID = Said(
    SHOWN, "How much for ceramic tint on a 2021 Tesla Model 3 or my F-150? Do it for 99", PROMPT, date(2026, 11, 30)
)


def lines(name: str) -> list[str]:
    return Path(__file__).with_name(name).read_text("utf-8").splitlines()


def test_what_the_tools_have_shown_may_be_said() -> None:
    refused = {line: why for line in lines("may_be_said.txt") if (why := blocked(line, SAID))}

    assert refused == {}


def test_what_they_have_not_shown_is_not_said() -> None:
    passed = [line for line in lines("must_not_be_said.txt") if blocked(line, SAID) is None]

    assert passed == []


def test_nothing_is_said_of_prices_and_times_before_a_tool_was_asked() -> None:
    nothing = Said(Evidence(), SAID.asked, PROMPT, SAID.today)
    telling = [line for line in lines("may_be_said.txt") if any(sign in line for sign in "$:")]

    passed = [line for line in telling if blocked(line, nothing) is None]

    assert len(telling) > 10
    assert passed == []


def test_an_appointment_is_spoken_of_once_it_is_made() -> None:
    made = united([SHOWN, Evidence(booked=True)])
    claim = "You are booked for Tuesday, December 1 at 10:00 AM. See you on Tuesday!"

    assert blocked(claim, SAID) is not None
    assert blocked(claim, Said(made, "", PROMPT, SAID.today)) is None


def test_a_price_belongs_to_the_service_it_is_named_with() -> None:
    assert blocked("The Premium Two Front Windows are $109.00.", SAID) is None
    assert blocked("The Supreme Full Vehicle Ceramic Tint is $109.00.", SAID) is not None


def test_what_was_found_out_survives_being_stored() -> None:
    assert Evidence.from_json(united([SHOWN]).to_json()) == united([SHOWN])


def test_sentences_come_out_when_they_are_whole() -> None:
    sentences, out = Sentences(), list[str]()
    text = "It is $600.00. We open at 9 a.m. on Monday! 1. One thing\nDone? Yes"

    for letter in text:
        out += sentences.feed(letter)

    assert out == ["It is $600.00. ", "We open at 9 a.m. on Monday! ", "1. One thing\n", "Done? "]
    assert sentences.end() == "Yes"
