"""Which orders are website quotes, and what a later state of an order means for its lead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from lead_orchestrator.integrations.shopmonkey.models import Order

__all__ = ["LeadRules", "OrderState", "state_of", "unmet"]


@dataclass(frozen=True)
class LeadRules:
    """A tenant's own: the workflow columns website quotes arrive in, and how their names begin."""

    workflow_status_ids: Sequence[str]
    name_prefix: str = "New Quote"


class OrderState(StrEnum):
    QUOTE = "QUOTE"
    BOOKED = "BOOKED"
    WON = "WON"
    LOST = "LOST"


def unmet(order: Order, rules: LeadRules) -> list[str]:
    """Why this order is no website quote: the criteria it does not meet, in words; empty for a lead.

    What ShopMonkey does not state is not met: a wrong text is worse than a late one, and the poll looks again.
    """
    checks = (
        ("its workflow status is not one of the tenant's", order.workflow_status_id in rules.workflow_status_ids),
        ("its status is not Estimate", order.status == "Estimate"),
        ("it is authorized", order.authorized is False),
        ("it has messages", order.message_count == 0),
        (f"its name does not start with {rules.name_prefix!r}", (order.name or "").startswith(rules.name_prefix)),
        ("it has an appointment", not order.appointment_dates),
        ("it is invoiced", order.invoiced is False),
        ("it is paid", order.paid is False),
        ("it is deleted", not order.deleted),
        ("it has no location", bool(order.location_id)),
        ("it has no customer", bool(order.customer_id)),
    )
    return [reason for reason, met in checks if not met]


def state_of(order: Order | None) -> OrderState:
    """What a lead's order has become; None is an order that is gone."""
    if order is None or order.deleted:
        return OrderState.LOST
    if order.invoiced or order.paid:
        return OrderState.WON
    if order.authorized or order.appointment_dates:
        return OrderState.BOOKED
    return OrderState.QUOTE
