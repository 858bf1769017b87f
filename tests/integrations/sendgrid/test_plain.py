from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lead_orchestrator.integrations.sendgrid.plain import plain_text


@pytest.mark.parametrize(
    ("html", "words"),
    [
        ("<html><head><title>x</title></head><body><p>One\n two</p><p>Three</p></body></html>", "One two\nThree"),
        ("Yes<br>no &amp; maybe<hr>", "Yes\nno & maybe"),
        ("<div>Mine<blockquote>On it<blockquote>theirs</blockquote> theirs</blockquote></div>after", "Mine\nafter"),
        ("<blockquote><style>a</blockquote>still hidden", ""),
        ("plain", "plain"),
        ("", ""),
    ],
)
def test_words_are_read_line_by_line_without_what_is_quoted(html: str, words: str) -> None:
    assert plain_text(html) == words


PIECES = ["<p>", "</p>", "<blockquote>", "</blockquote>", "<", "&#", "a", "<style>", "<!--", "\n"]


@given(st.lists(st.sampled_from(PIECES)))
def test_whatever_is_in_a_mail_is_no_error(parts: list[str]) -> None:
    assert len(plain_text("".join(parts))) <= len("".join(parts))


@pytest.mark.parametrize("piece", PIECES)
def test_a_hostile_mail_is_read_in_no_time(piece: str) -> None:
    began = time.process_time()
    plain_text("<blockquote>" * 8_000 + piece * 200_000)
    assert time.process_time() - began < 1
