from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.integrations.sendgrid.events import MailEvent, parse

AT = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


def event(**changes: Any) -> dict[str, Any]:
    whole = {
        "email": "ann@example.com", "timestamp": int(AT.timestamp()), "event": "bounce", "sg_event_id": "e1",
        "sg_message_id": "abc.recvd-1.0", "smtp-id": "<abc@example.com>", "ip": "192.0.2.1", "tls": 1,
        "message_id": "m1", "attempt_no": "2", "type": "blocked", "status": "5.1.1", "reason": "550 ann@example.com",
        **changes,
    }  # fmt: skip
    return {name: value for name, value in whole.items() if value is not None}


def read(*events: object) -> tuple[MailEvent, ...]:
    return parse(json.dumps(events).encode())


def test_an_event_names_the_mail_and_its_custom_arguments() -> None:
    (found,) = read(event())

    assert found == MailEvent(
        kind="bounce",
        event_id="e1",
        message_id="abc",
        at=AT,
        custom_args={"message_id": "m1", "attempt_no": "2"},
        bounce_type="blocked",
        status="5.1.1",
        email="ann@example.com",
        reason="550 ann@example.com",
        response=None,
    )


def test_the_events_of_a_batch_keep_their_order() -> None:
    kinds = ["processed", "delivered", "open", "click", "spamreport", "unsubscribe"]
    assert [one.kind for one in read(*(event(event=kind) for kind in kinds))] == kinds


def test_an_event_without_ids_is_one_all_the_same() -> None:
    (found,) = read(event(sg_event_id=None, sg_message_id=None, reason=None, message_id=None, attempt_no=None))
    assert (found.event_id, found.message_id, dict(found.custom_args)) == (None, None, {})


@pytest.mark.parametrize("broken", [event(event=None), event(timestamp=None), event(timestamp="now"), event(timestamp=-1),
                                    event(timestamp=2**80), event(timestamp=True), "text", None, []])  # fmt: skip
def test_an_event_that_cannot_be_used_does_not_hide_the_others(broken: object) -> None:
    assert [one.event_id for one in read(broken, event(sg_event_id="e2"))] == ["e2"]


def test_a_custom_argument_is_made_fit_for_the_database() -> None:
    (found,) = read(event(message_id="m\x001\ud83d"))
    assert found.custom_args["message_id"] == "m1?"


@pytest.mark.parametrize("body", [b"", b"{}", b"[", b'"x"', b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_array_is_refused(body: bytes) -> None:
    with pytest.raises(BadInputError):
        parse(body)


def test_no_address_shows_in_a_repr() -> None:
    assert "ann@" not in repr(read(event(response="250 ann@example.com")))


NAMES = st.sampled_from(["event", "timestamp", "sg_event_id", "sg_message_id", "type", "reason", "own"])
VALUES: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.just([])
)


@given(st.lists(st.dictionaries(NAMES, VALUES), max_size=4))
def test_whatever_is_in_a_batch_is_no_error(rows: list[dict[str, Any]]) -> None:
    assert len(read(*rows)) <= len(rows)
