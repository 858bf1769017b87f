"""What a mail looks like as it leaves."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from lead_orchestrator.leads.models import Channel
from lead_orchestrator.messaging.mail import Letterhead, as_html, as_text
from lead_orchestrator.touches.schedule import DEFAULT_TOUCHES, VARIABLES, Touch
from lead_orchestrator.touches.templates import render

UNSUBSCRIBE = "https://app.example.com/u/" + "t" * 64
HEAD = Letterhead("Sun & Shade", "1 Example Street, Los Angeles", UNSUBSCRIBE, "https://app.example.com/p/token")
MAILS = [touch for touch in DEFAULT_TOUCHES if touch.channel is Channel.EMAIL]


class Page(HTMLParser):
    """The words a reader sees, the links, and whether every element is closed."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.links: list[str] = []
        self.images: list[str] = []
        self._open: list[str] = []
        self.feed(source)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in {"meta", "br", "img"}:
            self._open.append(tag)
        if tag == "a":
            self.links.append(dict(attrs)["href"] or "")
        if tag in {"img", "script", "link", "iframe"}:
            self.images.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"style", "title", "head"} & set(self._open):
            self.words += data.split()

    @property
    def text(self) -> str:
        return " ".join(self.words)


def test_the_layout_has_the_shop_its_address_and_both_links() -> None:
    page = Page(as_html("Your quote", "Hello", HEAD))

    assert "Sun & Shade" in page.text
    assert "1 Example Street, Los Angeles" in page.text
    assert page.links == [UNSUBSCRIBE, "https://app.example.com/p/token"]
    assert page.images == []  # nothing is fetched from anywhere


def test_without_a_page_of_preferences_there_is_no_link_to_one() -> None:
    head = Letterhead(HEAD.shop_name, HEAD.shop_address, UNSUBSCRIBE)

    assert Page(as_html("Your quote", "Hello", head)).links == [UNSUBSCRIBE]


def test_what_people_write_is_text_and_no_markup() -> None:
    head = Letterhead("<b>Shop</b>", "$content", 'https://app.example.com/u/"onclick="x')
    words = '<script>alert(1)</script> & $shop ${content} http://example.com/"onmouseover="x'

    page = Page(as_html("<i>Hi</i>", words, head))

    assert page.images == []
    assert "<script>alert(1)</script> & $shop ${content}" in page.text
    assert page.links == ["http://example.com/", 'https://app.example.com/u/"onclick="x']


def test_a_link_is_one_to_click_and_shows_no_token() -> None:
    link = "https://app.example.com/c/" + "c" * 64

    page = Page(as_html("Hi", f"See {link}, or (https://example.com/a?b=1&c=2).", HEAD))

    assert page.links[:2] == [link, "https://example.com/a?b=1&c=2"]
    assert "cc" not in page.text
    assert "app.example.com/c/…" in page.text
    assert "example.com/a?b=1&c=2" in page.text


@pytest.mark.parametrize("touch", MAILS, ids=lambda touch: str(touch.number))
def test_the_footer_of_a_touch_is_not_there_twice(touch: Touch) -> None:
    filled = dict.fromkeys(VARIABLES, "") | {
        "shop_name": HEAD.shop_name,
        "shop_address": HEAD.shop_address,
        "unsubscribe_link": UNSUBSCRIBE,
        "chat_link": "https://app.example.com/c/token",
    }
    text = render(touch.body, filled)

    page = Page(as_html("Hi", text, HEAD))

    assert page.links.count(UNSUBSCRIBE) == 1
    assert page.text.count(HEAD.shop_address) == 1
    assert as_text(text, HEAD) == text


def test_the_text_of_a_mail_says_who_writes_and_how_to_end_it() -> None:
    assert as_text("Hello\n", HEAD) == (
        f"Hello\n\nSun & Shade\n1 Example Street, Los Angeles\n\nDon't want these e-mails? Unsubscribe: {UNSUBSCRIBE}"
    )


def test_styles_are_in_the_elements_and_those_for_phones_and_the_dark_stay() -> None:
    source = as_html("Hi", "Hello", HEAD)

    assert 'class="body" style="' in source
    assert "@media (prefers-color-scheme: dark)" in source
    assert "@media (max-width: 480px)" in source
