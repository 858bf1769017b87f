from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.integrations.whatsapp.webhook import Batch, InboundMessage, StatusUpdate, parse

NUMBER_ID, USER_ID = "106540352242922", "US.13491208655302741918"
AT = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
TIMESTAMP = str(int(AT.timestamp()))


def payload(*values: dict[str, Any], number: str = NUMBER_ID) -> dict[str, Any]:
    metadata = {"display_phone_number": "13105550100", "phone_number_id": number}
    whole = [{"messaging_product": "whatsapp", "metadata": metadata, **value} for value in values]
    changes = [{"field": "messages", "value": value} for value in whole]
    return {"object": "whatsapp_business_account", "entry": [{"id": "102290129340398", "changes": changes}]}


def read(*values: dict[str, Any]) -> Batch:
    return parse(json.dumps(payload(*values)).encode())


def text(body: Any = "Hello", **changes: Any) -> dict[str, Any]:
    message = {"from": "12135550101", "id": "wamid.1", "timestamp": TIMESTAMP, "type": "text", "text": {"body": body}}
    return {name: value for name, value in {**message, **changes}.items() if value is not None}


def contact(**changes: Any) -> dict[str, Any]:
    whole = {"profile": {"name": "Ann Lee"}, "wa_id": "12135550101", "user_id": USER_ID, **changes}
    return {name: value for name, value in whole.items() if value is not None}


def test_a_customers_text_is_read_with_who_wrote_it() -> None:
    batch = read({"contacts": [contact()], "messages": [text(context={"id": "wamid.0"})]})

    assert batch.statuses == ()
    assert batch.messages == (
        InboundMessage(NUMBER_ID, "wamid.1", "text", AT, "+12135550101", USER_ID, "Ann Lee", "Hello", "wamid.0"),
    )


@pytest.mark.parametrize("named_in_message", [True, False])
def test_a_person_with_a_username_has_no_number(named_in_message: bool) -> None:
    person = contact(wa_id=None, profile={"name": "Ann Lee", "username": "ann.tints"})
    message = text(**{"from": None, "from_user_id": USER_ID if named_in_message else None})

    (found,) = read({"contacts": [person], "messages": [message]}).messages

    assert (found.phone, found.user_id, found.name) == (None, USER_ID, "Ann Lee")


def test_each_message_of_a_batch_has_its_own_sender() -> None:
    people = [contact(), contact(profile={"name": "Bo Ray"}, wa_id="12135550102", user_id="US.2")]
    messages = [text("one", id="wamid.1", **{"from": "12135550102"}), text("two", id="wamid.2")]

    found = read({"contacts": people, "messages": messages}, {"messages": [text("three", id="wamid.3")]}).messages

    assert [(one.text, one.phone, one.name, one.user_id) for one in found] == [
        ("one", "+12135550102", "Bo Ray", "US.2"),
        ("two", "+12135550101", "Ann Lee", USER_ID),
        ("three", "+12135550101", None, None),
    ]


@pytest.mark.parametrize(
    ("kind", "part", "expected"),
    [
        ("button", {"text": "Yes", "payload": "yes"}, "Yes"),
        ("interactive", {"type": "button_reply", "button_reply": {"id": "1", "title": "Tomorrow"}}, "Tomorrow"),
        ("interactive", {"type": "list_reply", "list_reply": {"id": "1", "title": "Windshield"}}, "Windshield"),
        ("image", {"id": "9", "caption": "my car"}, "my car"),
        ("audio", {"id": "9"}, None),
        ("reaction", {"message_id": "wamid.0", "emoji": "👍"}, None),
        ("unsupported", None, None),
    ],
)
def test_what_was_written_or_chosen_is_the_text(kind: str, part: object, expected: str | None) -> None:
    message = text(type=kind, text=None) | {kind: part}
    (found,) = read({"messages": [message]}).messages
    assert (found.kind, found.text) == (kind, expected)


def test_a_status_names_its_error_and_our_reference() -> None:
    status = {
        "id": "wamid.9",
        "status": "failed",
        "timestamp": TIMESTAMP,
        "recipient_id": "12135550101",
        "recipient_user_id": USER_ID,
        "biz_opaque_callback_data": "m1.2",
        "errors": [{"code": 131026, "title": "Message undeliverable"}],
    }

    batch = read({"statuses": [status]})

    assert batch == Batch(
        (), (StatusUpdate(NUMBER_ID, "wamid.9", "failed", AT, 131026, "m1.2", "+12135550101", USER_ID),)
    )


def test_other_objects_and_fields_are_none_of_ours() -> None:
    other = payload({"messages": [text()]})
    other["entry"][0]["changes"][0]["field"] = "message_template_status_update"
    assert parse(json.dumps(other).encode()) == Batch()
    assert parse(json.dumps({**payload({"messages": [text()]}), "object": "page"}).encode()) == Batch()


@pytest.mark.parametrize(
    "broken",
    [
        text(id=None), text(id=7), text(timestamp="soon"), text(timestamp=None), text(**{"from": None}),
        text(**{"from": "abc"}), "text", None,
    ],
)  # fmt: skip
def test_a_message_that_cannot_be_used_does_not_hide_the_others(broken: object) -> None:
    found = read({"messages": [broken, text(id="wamid.2")]}).messages
    assert [one.message_id for one in found] == ["wamid.2"]


def test_text_is_made_fit_for_the_database() -> None:
    (found,) = read({"messages": [text("a\x00b\ud83d c")]}).messages
    assert found.text == "ab? c"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(BadInputError):
        parse(body)


def test_nothing_personal_shows_in_a_repr() -> None:
    status = {"id": "w", "status": "sent", "timestamp": TIMESTAMP, "recipient_id": "12135550101"}
    shown = repr(read({"contacts": [contact()], "messages": [text("secret words")], "statuses": [status]}))
    assert not any(word in shown for word in ("2135550101", "secret words", "Ann", USER_ID))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)
NAMES = st.sampled_from(["from", "id", "timestamp", "type", "text", "context", "errors", "status", "profile", "wa_id"])


@given(
    messages=st.lists(st.dictionaries(NAMES, JSON) | JSON, max_size=3),
    contacts=JSON | st.lists(st.dictionaries(NAMES, JSON), max_size=2),
)
def test_whatever_is_in_a_batch_is_no_error(messages: list[Any], contacts: Any) -> None:
    found = read({"messages": messages, "statuses": messages, "contacts": contacts})
    assert len(found.messages) <= len(messages)
