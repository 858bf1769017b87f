"""Answers are taken in the order they lead, checked by type, and those off the way are left out."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.leads.surveys.answers import answered, progress
from lead_orchestrator.leads.surveys.definition import Ending, Survey, checked_survey

SURVEY = checked_survey(
    {
        "questions": [
            {"id": "car", "type": "vehicle", "label": "Car?", "required": True},
            {
                "id": "when",
                "type": "single",
                "label": "When?",
                "required": True,
                "options": [
                    {"value": "now", "label": "Now", "next": "BOOKING"},
                    {"value": "soon", "label": "Soon", "hot": True},
                    {"value": "later", "label": "Later"},
                ],
            },
            {"id": "why", "type": "text", "label": "Why?", "maxLength": 10},
        ]
    }
)
CAR = {"year": 2021, "make": "Honda", "model": "Civic"}


def one_question(kind: str, **more: Any) -> Survey:
    return checked_survey({"questions": [{"id": "q", "type": kind, "label": "Q?", **more}]})


def refused(survey: Survey, answers: dict[str, object]) -> BadInputError:
    with pytest.raises(BadInputError) as error:
        answered(survey, answers)
    return error.value


def test_the_branch_that_was_chosen_decides_the_ending_and_how_hot_the_lead_is() -> None:
    now, soon, later = [answered(SURVEY, {"car": CAR, "when": when}) for when in ("now", "soon", "later")]

    assert (now.ending, now.hot) == (Ending.BOOKING, True)
    assert (soon.ending, soon.hot) == (Ending.THANKS, True)
    assert (later.ending, later.hot, later.vehicle) == (Ending.THANKS, False, CAR)


def test_answers_off_the_way_are_left_out_and_those_on_it_are_needed() -> None:
    assert answered(SURVEY, {"car": CAR, "when": "now", "why": "x" * 11}).answers == {"car": CAR, "when": "now"}
    missing = refused(SURVEY, {"car": CAR})
    assert (missing.code, missing.field) == ("ANSWER_MISSING", ("answers", "when"))


def test_an_unknown_question_is_named() -> None:
    error = refused(SURVEY, {"car": CAR, "when": "now", "colour": "red"})

    assert (error.code, error.field) == ("UNKNOWN_QUESTION", ("answers", "colour"))


@pytest.mark.parametrize(
    ("kind", "more", "given", "kept"),
    [
        ("text", {}, "  hello ", "hello"),
        ("number", {"min": 1, "max": 5}, "3", 3),
        ("number", {}, 2.5, 2.5),
        ("email", {}, " Ada@Example.com", "ada@example.com"),
        ("phone", {}, "(213) 555-0101", "+12135550101"),
        ("date", {}, "2026-03-01", "2026-03-01"),
        ("vehicle", {}, {"year": "2021", "make": " Honda ", "model": ""}, {"year": "2021", "make": "Honda"}),
        ("multi", {"options": [{"value": v, "label": v} for v in "abc"]}, ["c", "a", "", "a"], ["a", "c"]),
    ],
)
def test_an_answer_is_kept_in_one_form(kind: str, more: dict[str, Any], given: object, kept: object) -> None:
    assert answered(one_question(kind, **more), {"q": given}).answers == {"q": kept}


@pytest.mark.parametrize("kind", ["text", "number", "email", "phone", "date", "vehicle"])
@pytest.mark.parametrize("nothing", [None, "", "  ", [], {}])
def test_nothing_is_an_answer_only_where_none_is_needed(kind: str, nothing: object) -> None:
    assert answered(one_question(kind), {"q": nothing}).answers == {}
    assert refused(one_question(kind, required=True), {"q": nothing}).code == "ANSWER_MISSING"


@pytest.mark.parametrize(
    ("kind", "more", "given"),
    [
        ("text", {"maxLength": 3}, "four"),
        ("text", {}, 7),
        ("number", {}, "many"),
        ("number", {}, True),
        ("number", {}, "nan"),
        ("number", {}, 10**400),
        ("number", {"min": 1}, 0),
        ("number", {"max": 1}, 2),
        ("email", {}, "secret.person at example"),
        ("phone", {}, "213-secret"),
        ("date", {}, "2026-02-30"),
        ("vehicle", {}, "secret car"),
        ("vehicle", {}, {"colour": "red"}),
        ("vehicle", {}, {"year": 1700}),
        ("vehicle", {}, {"make": ["x"]}),
        ("single", {"options": [{"value": "a", "label": "a"}]}, "b"),
        ("single", {"options": [{"value": "a", "label": "a"}]}, ["a"]),
        ("multi", {"options": [{"value": "a", "label": "a"}]}, "a"),
        ("multi", {"options": [{"value": "a", "label": "a"}]}, [["a"]]),
    ],
)
def test_a_wrong_answer_is_refused_with_its_path_and_without_what_is_personal(
    kind: str, more: dict[str, Any], given: object
) -> None:
    error = refused(one_question(kind, **more), {"q": given})

    assert (error.code, (error.field or ())[:2]) == ("INVALID_ANSWER", ("answers", "q"))
    assert "secret" not in error.message


@st.composite
def surveys(draw: st.DrawFn) -> Survey:
    """Choices that lead forward anywhere, each question to the next one in any case."""
    count = draw(st.integers(1, 8))
    targets = [[f"q{later}" for later in range(place + 1, count)] + ["BOOKING", "THANKS"] for place in range(count)]
    questions = [
        {
            "id": f"q{place}",
            "type": "single",
            "label": "?",
            "required": draw(st.booleans()),
            "options": [
                {
                    "value": "skip",
                    "label": "s",
                    "next": draw(st.sampled_from(targets[place])),
                    "hot": draw(st.booleans()),
                },
                {"value": "on", "label": "o"},
            ],
        }
        for place in range(count)
    ]
    return checked_survey({"questions": questions})


@given(surveys(), st.data())
def test_going_step_by_step_comes_to_the_same_end_as_all_answers_at_once(survey: Survey, data: st.DataObject) -> None:
    given: dict[str, object] = {}
    gone = progress(survey, given)
    for _ in survey.questions:
        if gone.at is None:
            break
        values = ["skip", "on"] if gone.at.required else ["skip", "on", ""]
        given[gone.at.id] = data.draw(st.sampled_from(values))
        gone = progress(survey, given)

    assert gone.at is None
    whole = answered(survey, given)
    assert (whole.answers, whole.ending) == (gone.answers, gone.ending)
    assert [question.id for question in gone.passed] == list(given)
