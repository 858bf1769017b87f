"""The one table of how a lead may move, and what a status means for its touches."""

from __future__ import annotations

from lead_orchestrator.leads.models import LeadStatus

__all__ = ["ANSWERED", "BOOKED", "CLOSED", "ENDS_TOUCHES", "may_become"]

_S = LeadStatus

# What happens by itself; staff may set any status. A lead never goes back to NEW but by a new enrolment.
_TRANSITIONS: dict[LeadStatus, frozenset[LeadStatus]] = {
    _S.NEW: frozenset({_S.CONTACTED, _S.ENGAGED, _S.HOT, _S.BOOKED, _S.WON, _S.LOST, _S.OPTED_OUT}),
    _S.CONTACTED: frozenset({_S.ENGAGED, _S.HOT, _S.BOOKED, _S.WON, _S.LOST, _S.OPTED_OUT}),
    _S.ENGAGED: frozenset({_S.HOT, _S.BOOKED, _S.WON, _S.LOST, _S.OPTED_OUT}),
    _S.HOT: frozenset({_S.BOOKED, _S.WON, _S.LOST, _S.OPTED_OUT}),
    _S.BOOKED: frozenset({_S.WON, _S.LOST, _S.OPTED_OUT}),
    _S.WON: frozenset({_S.OPTED_OUT}),
    _S.LOST: frozenset({_S.ENGAGED, _S.HOT, _S.BOOKED, _S.WON, _S.OPTED_OUT}),
    _S.OPTED_OUT: frozenset({_S.ENGAGED, _S.BOOKED, _S.WON, _S.LOST}),
}

CLOSED = frozenset({_S.WON, _S.LOST})
"""After these a new quote opens a new enrolment; before, it is linked to the running one."""

ANSWERED = frozenset({_S.ENGAGED, _S.HOT})
"""A lead with such a status has answered."""

BOOKED = frozenset({_S.BOOKED, _S.WON})
"""A lead with such a status has booked."""

ENDS_TOUCHES = frozenset({_S.ENGAGED, _S.HOT, _S.BOOKED, _S.WON, _S.LOST, _S.OPTED_OUT})
"""A lead with such a status gets no further touch."""


def may_become(now: LeadStatus, then: LeadStatus) -> bool:
    """Whether a lead may move from `now` to `then` by itself."""
    return then in _TRANSITIONS[now]
