from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lead_orchestrator.integrations.shopmonkey.models import Order
from lead_orchestrator.leads.ingestion.criteria import LeadRules, OrderState, state_of, unmet
from lead_orchestrator.leads.ingestion.service import version_of

DEFAULT_STATUSES = ("619813fb2c9c3e8ce527be48", "65fb14d76ee665db4d8d2ce0")
RULES = LeadRules(DEFAULT_STATUSES)


def order(**columns: Any) -> Order:
    """A website quote as ShopMonkey sends it, but for `columns`."""
    row = {
        "id": "order-1",
        "locationId": "location-1",
        "customerId": "customer-1",
        "workflowStatusId": DEFAULT_STATUSES[0],
        "status": "Estimate",
        "name": "New Quote - Ada Example",
        "authorized": False,
        "invoiced": False,
        "paid": False,
        "deleted": False,
        "messageCount": 0,
        "appointmentDates": [],
        "updatedDate": "2026-05-01T10:00:00.000Z",
        "meta": {"version": 7},
    }
    return Order.model_validate({**row, **columns})


@pytest.mark.parametrize("workflow_status_id", DEFAULT_STATUSES)
def test_a_website_quote_meets_every_criterion_in_both_default_columns(workflow_status_id: str) -> None:
    assert unmet(order(workflowStatusId=workflow_status_id), RULES) == []


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("workflowStatusId", "another-column", "its workflow status is not one of the tenant's"),
        ("workflowStatusId", None, "its workflow status is not one of the tenant's"),
        ("workflowStatusId", DEFAULT_STATUSES[0].upper(), "its workflow status is not one of the tenant's"),
        ("status", "RepairOrder", "its status is not Estimate"),
        ("status", "Invoice", "its status is not Estimate"),
        ("status", "estimate", "its status is not Estimate"),
        ("status", None, "its status is not Estimate"),
        ("authorized", True, "it is authorized"),
        ("authorized", None, "it is authorized"),
        ("messageCount", 1, "it has messages"),
        ("messageCount", None, "it has messages"),
        ("name", "Quote - Ada", "its name does not start with 'New Quote'"),
        ("name", "A New Quote", "its name does not start with 'New Quote'"),
        ("name", "new quote", "its name does not start with 'New Quote'"),
        ("name", "", "its name does not start with 'New Quote'"),
        ("name", None, "its name does not start with 'New Quote'"),
        ("appointmentDates", ["2026-05-02T10:00:00.000Z"], "it has an appointment"),
        ("invoiced", True, "it is invoiced"),
        ("invoiced", None, "it is invoiced"),
        ("paid", True, "it is paid"),
        ("paid", None, "it is paid"),
        ("deleted", True, "it is deleted"),
        ("locationId", None, "it has no location"),
        ("locationId", "", "it has no location"),
        ("customerId", None, "it has no customer"),
    ],
)
def test_each_criterion_alone_keeps_an_order_from_being_a_lead(column: str, value: object, reason: str) -> None:
    assert unmet(order(**{column: value}), RULES) == [reason]


@pytest.mark.parametrize(("column", "value"), [("appointmentDates", None), ("deleted", None), ("name", "New Quote")])
def test_what_need_not_be_stated_is_no_reason(column: str, value: object) -> None:
    assert unmet(order(**{column: value}), RULES) == []


def test_every_reason_is_given_at_once() -> None:
    assert len(unmet(Order.model_validate({"id": "bare"}), RULES)) == 9


def test_a_tenant_has_columns_and_a_prefix_of_its_own() -> None:
    rules = LeadRules(("its-column",), "Web:")

    assert unmet(order(workflowStatusId="its-column", name="Web: Ada"), rules) == []
    assert unmet(order(), rules) == [
        "its workflow status is not one of the tenant's",
        "its name does not start with 'Web:'",
    ]


def test_a_tenant_without_columns_has_no_leads() -> None:
    assert unmet(order(), LeadRules(())) == ["its workflow status is not one of the tenant's"]


@pytest.mark.parametrize(
    ("columns", "state"),
    [
        ({}, OrderState.QUOTE),
        ({"messageCount": 3}, OrderState.QUOTE),
        ({"workflowStatusId": "another-column", "name": "renamed"}, OrderState.QUOTE),
        ({"authorized": True}, OrderState.BOOKED),
        ({"appointmentDates": ["2026-05-02"]}, OrderState.BOOKED),
        ({"authorized": True, "invoiced": True}, OrderState.WON),
        ({"paid": True}, OrderState.WON),
        ({"deleted": True, "paid": True, "authorized": True}, OrderState.LOST),
        ({"authorized": None, "invoiced": None, "paid": None, "deleted": None}, OrderState.QUOTE),
    ],
)
def test_what_an_order_has_become(columns: dict[str, Any], state: OrderState) -> None:
    assert state_of(order(**columns)) is state


def test_an_order_that_is_gone_is_lost() -> None:
    assert state_of(None) is OrderState.LOST


@pytest.mark.parametrize(
    "newer",
    [
        lambda: order(updatedDate="2026-05-01T10:00:00.001Z", meta={"version": 1}),
        lambda: order(meta={"version": 8}),
        lambda: order(meta={"version": 10}),
        lambda: order(updatedDate="2026-05-01T09:00:00.000-02:00"),
    ],
)
def test_a_version_rises_with_each_change(newer: Callable[[], Order]) -> None:
    assert version_of(order()) < version_of(newer())


def test_a_row_that_never_changed_has_the_version_of_its_creation() -> None:
    created = order(updatedDate=None, createdDate="2026-05-01T09:00:00.000Z")

    assert "" == version_of(order(updatedDate=None)) < version_of(created) < version_of(order())
    assert version_of(None) == ""
