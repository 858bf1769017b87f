from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from lead_orchestrator.integrations.shopmonkey.models import Customer, Location, Order, Vehicle

words = st.sampled_from(["", "x", "true", "2026-11-22", "\x00"])
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=2),
    max_leaves=5,
)
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def test_a_website_quote_is_read() -> None:
    order = Order.model_validate(
        {
            "id": "619813fb2c9c3e8ce527be48",
            "name": "New Quote - Honda",
            "status": "Estimate",
            "authorized": False,
            "messageCount": 0,
            "appointmentDates": [],
            "updatedDate": "2026-11-22T10:00:00.000Z",
            "totalCostCents": 29900,
            "fieldOfTomorrow": {"a": 1},
        }
    )
    assert (order.authorized, order.message_count, order.appointment_dates) == (False, 0, ())
    assert order.changed_at == datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
    assert order.model_extra == {"fieldOfTomorrow": {"a": 1}}


def test_what_is_not_stated_is_unknown_not_false() -> None:
    order = Order.model_validate({"id": "1", "authorized": None, "invoiced": "perhaps"})
    assert (order.authorized, order.invoiced, order.paid) == (None, None, None)


def test_a_zoneless_time_is_utc() -> None:
    assert Order.model_validate({"id": "1", "createdDate": "2026-11-22T10:00:00"}).changed_at == datetime(
        2026, 11, 22, 10, 0, tzinfo=UTC
    )


@pytest.mark.parametrize("row", [{}, {"id": None}, {"id": ""}, {"id": []}, [], None, "x"])
def test_a_row_without_an_id_is_no_row(row: object) -> None:
    with pytest.raises(ValidationError):
        Order.model_validate(row)


@patient
@given(st.dictionaries(st.sampled_from(["number", "createdDate", "meta", "authorized", "appointmentDates"]), anything))
def test_no_other_field_makes_an_order_unreadable(fields: dict[str, object]) -> None:
    assert Order.model_validate({**fields, "id": "1"}).id == "1"


def test_contact_data_comes_from_the_lists() -> None:
    customer = Customer.model_validate(
        {
            "id": "c",
            "firstName": "Ana",
            "email": None,
            "emails": [
                {"email": None},
                {"email": "old@example.com"},
                {"email": "ana@example.com", "primary": True},
                None,
            ],
            "phoneNumbers": [
                {"number": "+12135550101", "primary": True, "type": "Landline", "optIn": True},
                {"number": "+12135550102", "type": "Mobile", "optIn": True},
                {"number": "+12135550103", "type": "Hologram", "primary": True, "optIn": None},
            ],
        }
    )
    assert customer.email is not None
    assert customer.email.email == "ana@example.com"
    assert customer.phone is not None
    assert (customer.phone.number, customer.phone.type, customer.phone.opt_in) == ("+12135550103", "Hologram", None)


def test_a_customer_without_contact_data_has_none() -> None:
    customer = Customer.model_validate({"id": "c", "emails": None, "phoneNumbers": [{"number": None}]})
    assert (customer.email, customer.phone) == (None, None)


def test_a_vehicle_is_named_as_far_as_it_is_known() -> None:
    assert (
        Vehicle.model_validate({"id": "v", "year": 2021, "make": "Honda", "model": "Civic"}).title == "2021 Honda Civic"
    )
    assert Vehicle.model_validate({"id": "v", "year": None, "make": "Tesla", "model": 3}).title == "Tesla 3"
    assert Vehicle.model_validate({"id": "v"}).title == ""


def test_a_location_names_its_zone() -> None:
    assert Location.model_validate({"id": "l", "timezone": "America/Chicago"}).timezone == "America/Chicago"


def test_a_repr_shows_nobody() -> None:
    customer = Customer.model_validate({"id": "c", "firstName": "Ana", "emails": [{"email": "ana@example.com"}]})
    assert "Ana" not in repr(customer)
    assert "example.com" not in repr(customer.emails)
