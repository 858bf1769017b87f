from __future__ import annotations

import string

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.touches.templates import check, clean, render, segments

patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize(
    ("template", "values", "text"),
    [
        ("Hi {first_name}!", {"first_name": "Ana"}, "Hi Ana!"),
        ("Hi {first_name|there}, hello", {"first_name": ""}, "Hi there, hello"),
        ("Hi {first_name|there}, hello", {"first_name": "Ana"}, "Hi Ana, hello"),
        ("Hi {first_name|my dear friend}.", {"first_name": " "}, "Hi my dear friend."),
        ("Hi {first_name}, hello", {"first_name": ""}, "Hi, hello"),
        ("{first_name}, hello", {"first_name": ""}, "hello"),
        ("Hello {first_name}", {"first_name": ""}, "Hello"),
        ("Your {first_name} car", {"first_name": ""}, "Your car"),
        ("Your {a} {b} car", {"a": "", "b": ""}, "Your car"),
        ("Your {a}{b} car", {"a": "", "b": "red"}, "Your red car"),
        ("Your {a}{b} car", {"a": "red", "b": ""}, "Your red car"),
        ("({a})", {"a": ""}, "()"),
        ("one\n{a}, two", {"a": ""}, "one\ntwo"),
        ("one {a}\ntwo", {"a": ""}, "one\ntwo"),
        ("{{first_name}} {{{a}}}", {"a": "x"}, "{first_name} {x}"),
        ("{a} {b}", {"a": "{b}", "b": "{a|x}{{"}, "{b} {a|x}{{"),
        ("{a|50% off}", {"a": ""}, "50% off"),
        ("{a}", {"a": "  Ana\r\nMaria\t\x00\x1b[31m \u202egnp\u200b "}, "Ana Maria [31m gnp"),
        ("", {}, ""),
        ("no variable", {"a": "x"}, "no variable"),
    ],
)
def test_a_template_is_filled_in(template: str, values: dict[str, str], text: str) -> None:
    assert render(template, values) == text


@pytest.mark.parametrize(
    ("template", "position", "words"),
    [
        ("Hi {name}", 3, "unknown variable 'name' at character 4; known are: first_name, shop_name"),
        ("Hi {first_name|x} {nam|x}", 18, "unknown variable 'nam' at character 19"),
        ("Hi {first_name", 3, "a single { at character 4"),
        ("Hi first_name}", 13, "a single } at character 14"),
        ("{", 0, "write {{ for a brace"),
        ("{}", 0, "is no variable"),
        ("{First_Name}", 0, "'{First_Name}' at character 1 is no variable"),
        ("{first_name|a|b}", 0, "is no variable"),
        ("{ first_name }", 0, "is no variable"),
        ("{first_name.__class__}", 0, "is no variable"),
        ("{first_name!r}", 0, "is no variable"),
        ("{0}", 0, "is no variable"),
    ],
)
def test_a_template_that_cannot_be_rendered_says_where(template: str, position: int, words: str) -> None:
    values = {"first_name": "Ana", "shop_name": "Tint"}
    problems = check(template, values)
    assert problems[0].position == position
    assert words in problems[0].message
    with pytest.raises(BadInputError) as caught:
        render(template, values)
    assert words in caught.value.message


def test_every_problem_is_told_in_order() -> None:
    problems = check("{x} {first_name} } {y|z}", ["first_name"])
    assert [problem.position for problem in problems] == [0, 17, 19]


@patient
@given(st.text(alphabet="{}|ab ,.\n", max_size=30), st.dictionaries(st.sampled_from("ab"), st.text(max_size=5)))
def test_a_template_without_problems_renders_and_with_problems_is_refused(
    template: str, values: dict[str, str]
) -> None:
    if check(template, values):
        with pytest.raises(BadInputError):
            render(template, values)
    else:
        render(template, values)


@patient
@given(st.text(max_size=40))
def test_a_value_is_cleaned_once_and_never_expanded(value: str) -> None:
    cleaned = clean(value)
    assert clean(cleaned) == cleaned
    assert render("{a}", {"a": value}) == cleaned
    assert cleaned == cleaned.strip()
    assert all(character.isprintable() or character in "\u200c\u200d" for character in cleaned)


def test_scripts_and_emoji_stay_whole() -> None:
    assert clean(" Zoë 王小明 محمد \U0001f468\u200d\U0001f469\u200d\U0001f467 ") == (
        "Zoë 王小明 محمد \U0001f468\u200d\U0001f469\u200d\U0001f467"
    )
    assert clean("Zoe\u0308") == "Zoë"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ("GSM-7", 0)),
        ("a" * 160, ("GSM-7", 1)),
        ("a" * 161, ("GSM-7", 2)),
        ("a" * 306, ("GSM-7", 2)),
        ("a" * 307, ("GSM-7", 3)),
        ("€" * 80, ("GSM-7", 1)),
        ("€" * 81, ("GSM-7", 2)),
        ("a" + "€" * 152, ("GSM-7", 2)),
        ("€" * 153, ("GSM-7", 3)),  # 76 pairs fit a part of 153, and no pair is split
        ("é" * 160, ("GSM-7", 1)),
        ("ç" * 70, ("UCS-2", 1)),
        ("ç" * 71, ("UCS-2", 2)),
        ("ç" * 134, ("UCS-2", 2)),
        ("ç" * 135, ("UCS-2", 3)),
        ("\U0001f697" * 35, ("UCS-2", 1)),
        ("\U0001f697" * 36, ("UCS-2", 2)),
        ("\U0001f697" * 67, ("UCS-2", 3)),  # 33 pairs fit a part of 67
        ("It\u2019s", ("UCS-2", 1)),
    ],
)
def test_a_text_is_counted_in_the_parts_it_travels_in(text: str, expected: tuple[str, int]) -> None:
    assert segments(text) == expected


def test_the_alphabet_is_that_of_gsm_03_38() -> None:
    assert segments(string.ascii_letters + string.digits + "@£$¥èéùìòÇØøÅåΔΦΓΛΩΠΨΣΘΞÆæßÉ¤¡ÄÖÑÜ§¿äöñüà")[0] == "GSM-7"
    assert all(segments(character) == ("GSM-7", 1) for character in "^{}\\[~]|€\f\n\r _")
    assert all(segments(character)[0] == "UCS-2" for character in "`çÀÁ\t\x1b\u2019\u201c\u2013…")
