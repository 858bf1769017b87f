from __future__ import annotations

import pytest

from lead_orchestrator.messaging.opt_out import Intent, classify


@pytest.mark.parametrize(
    "text",
    [
        "STOP",
        " stop. ",
        "“Stop” 🙏",
        "S.T.O.P",
        "\u0405\u0422\u041e\u0420",
        "ꜱᴛᴏᴘ",
        "st\u200bop",
        "Opt out!",
        "ALTO",
        "bája",
    ],
)
def test_a_keyword_however_it_is_written_stops_at_once(text: str) -> None:
    assert classify(text).intent is Intent.STOP


@pytest.mark.parametrize(
    "text",
    [
        "Stop please",
        "please stop texting me",
        "no me escriban más",
        "take me off your list",
        "wrong number",
        "lose my number",
        "stpo",
        "unsubcribe",
        "Quítenme de su lista",
        "🛑",
        "Cancel my appointment and stop texting me",
    ],
)
def test_plain_words_stop_too(text: str) -> None:
    assert classify(text).intent is Intent.LIKELY_STOP
    assert classify(text).stops


@pytest.mark.parametrize(
    "text",
    [
        "I can't stop by today",
        "what time do you stop working",
        "stop by tomorrow?",
        "cancel my appointment",
        "end of the week",
        "Quíteme el polarizado viejo",
        "Don't call, text me instead",
        "No me mandaron el precio",
        "Don't stop texting me!",
        "no thanks",
        "",
        "👍",
    ],
)
def test_an_ordinary_message_stops_nothing(text: str) -> None:
    assert classify(text).intent is Intent.NONE
    assert not classify(text).stops


def test_a_start_is_told_from_a_mere_yes() -> None:
    assert (classify("start").intent, classify("UNSTOP").soft) == (Intent.START, False)
    assert (classify("Yes").intent, classify("Sí").soft) == (Intent.START, True)
    assert classify("yes I would like a quote").intent is Intent.NONE


@pytest.mark.parametrize("text", ["HELP", "info?", "Ayuda"])
def test_help_is_a_keyword_only(text: str) -> None:
    assert classify(text).intent is Intent.HELP
    assert classify(f"{text} me choose a tint").intent is Intent.NONE


@pytest.mark.parametrize(
    "text",
    [
        "Liked “Reply STOP to opt out”",
        "👍 to “Reply STOP to opt out”",
        "Sounds good\n\nOn Mon, Nov 2, 2026 at 9:00 AM Sun Shade <shop@example.com>\nwrote:\n> Don't want these? Unsubscribe: https://x",
        "Perfecto\n\nEl lun, 2 nov 2026 a las 9:00, Sun Shade <shop@example.com> escribió:\n\nDon't want these? Unsubscribe",
    ],
)
def test_our_own_words_quoted_back_are_not_the_persons(text: str) -> None:
    assert classify(text).intent is Intent.NONE


def test_an_answer_below_a_quotation_is_read() -> None:
    assert classify("On Mon, Nov 2, 2026 Sun Shade wrote:\n> Shall we go on?\n\nplease stop").stops
