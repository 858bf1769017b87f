from __future__ import annotations

from uuid import UUID

import pytest

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.ids import Kind, decode, encode, kind_of

KEY = UUID("0199aaaa-0000-7000-8000-000000000001")


@pytest.mark.parametrize("kind", Kind)
def test_an_id_is_read_as_it_was_written(kind: Kind) -> None:
    text = encode(kind, KEY)

    assert text == f"{kind.value}_{KEY}"
    assert kind_of(text) is kind
    assert decode(kind, text) == KEY


@pytest.mark.parametrize(
    "text",
    [
        "",
        "_",
        "lead",
        "lead_",
        "lead_1",
        f"loc_{KEY}",
        f"lead_{KEY.hex}",
        f"lead_{{{KEY}}}",
        f"lead_{KEY}x",
        f"LEAD_{KEY}",
        f"lead_{str(KEY).upper()}",
        str(KEY),
    ],
)
def test_anything_else_is_refused_with_what_it_was(text: str) -> None:
    with pytest.raises(BadInputError) as refused:
        decode(Kind.LEAD, text, field="id")

    assert repr(text) in refused.value.message
    assert refused.value.field == ("id",)


def test_only_the_beginning_of_a_long_text_is_quoted() -> None:
    with pytest.raises(BadInputError) as refused:
        decode(Kind.LEAD, "x" * 10_000)

    assert len(refused.value.message) < 200


@pytest.mark.parametrize("text", ["", "lead_", "bill_0199aaaa-0000-7000-8000-000000000001", "lead_x", "_"])
def test_what_is_no_id_of_ours_has_no_kind(text: str) -> None:
    assert kind_of(text) is None
