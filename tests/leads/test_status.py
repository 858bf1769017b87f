from __future__ import annotations

import pytest

from lead_orchestrator.leads.models import LeadStatus
from lead_orchestrator.leads.status import CLOSED, ENDS_TOUCHES, may_become

# The statuses a lead of each status may move to by itself.
ALLOWED = {
    "NEW": "CONTACTED ENGAGED HOT BOOKED WON LOST OPTED_OUT",
    "CONTACTED": "ENGAGED HOT BOOKED WON LOST OPTED_OUT",
    "ENGAGED": "HOT BOOKED WON LOST OPTED_OUT",
    "HOT": "BOOKED WON LOST OPTED_OUT",
    "BOOKED": "WON LOST OPTED_OUT",
    "WON": "OPTED_OUT",
    "LOST": "ENGAGED HOT BOOKED WON OPTED_OUT",
    "OPTED_OUT": "ENGAGED BOOKED WON LOST",
}


@pytest.mark.parametrize("before", list(LeadStatus))
@pytest.mark.parametrize("after", list(LeadStatus))
def test_a_lead_moves_by_the_table(before: LeadStatus, after: LeadStatus) -> None:
    assert may_become(before, after) == (after.value in ALLOWED[before.value].split())


def test_nothing_becomes_new_again_by_itself() -> None:
    assert not any(may_become(status, LeadStatus.NEW) for status in LeadStatus)


def test_whoever_was_closed_gets_no_touch() -> None:
    assert CLOSED < ENDS_TOUCHES
    assert {LeadStatus.NEW, LeadStatus.CONTACTED}.isdisjoint(ENDS_TOUCHES)
