"""A survey is taken when every question can be come to and every way ends; else everything that is wrong is said, with its path."""

from __future__ import annotations

from typing import Any

import pytest

from lead_orchestrator.leads.surveys.definition import SurveyError, checked_survey


def question(name: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "type": "text", "label": f"Your {name}?", **more}


def option(value: str, **more: Any) -> dict[str, Any]:
    return {"value": value, "label": value.title(), **more}


def choice(name: str, *options: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": name, "type": "single", "label": f"Which {name}?", "options": list(options), **more}


def problems(*questions: dict[str, Any], **more: Any) -> list[tuple[str, str]]:
    """Code and path of each problem."""
    with pytest.raises(SurveyError) as refused:
        checked_survey({"questions": list(questions), **more})
    return [(one.code, ".".join(one.field or ())) for one in refused.value.problems]


def test_a_survey_of_every_type_with_branches_is_taken_and_shown_as_it_was_written() -> None:
    written = {
        "title": "Get a quote",
        "questions": [
            question("car", type="vehicle", required=True),
            choice("when", option("now", next="BOOKING", hot=True), option("later"), required=True),
            {"id": "glass", "type": "multi", "label": "Which windows?", "options": [option("front"), option("rear")]},
            question("windows", type="number", min=1, max=12, next="mail"),
            question("mail", type="email"),
            question("mobile", type="phone"),
            question("day", type="date"),
            question("more", help="Anything else", maxLength=2000, next="THANKS"),
        ],
    }

    survey = checked_survey(written)

    assert survey.dumped() == written
    assert checked_survey({**survey.dumped(), "version": 7}).dumped() == written
    assert survey.after(survey.questions[1]) == "glass"


def test_a_survey_may_ask_for_nothing_but_the_address() -> None:
    assert checked_survey({}).questions == ()


def test_a_question_nothing_leads_to_is_named() -> None:
    skipping = question("a", next="c")

    assert problems(skipping, question("b"), question("c")) == [("UNREACHABLE", "definition.questions.1")]


def test_a_required_choice_whose_options_all_lead_elsewhere_does_not_lead_to_the_next_question() -> None:
    away = [option("x", next="THANKS"), option("y", next="BOOKING")]

    assert problems(choice("a", *away, required=True), question("b")) == [("UNREACHABLE", "definition.questions.1")]
    assert checked_survey({"questions": [choice("a", *away), question("b")]})  # passed over, it does


def test_a_way_back_is_named_where_it_was_set() -> None:
    back = choice("b", option("x", next="a"), option("y"))

    assert problems(question("a"), back, question("c")) == [("CYCLE", "definition.questions.1.options.0.next")]
    assert problems(question("a", next="a")) == [("CYCLE", "definition.questions.0.next")]


def test_unknown_targets_are_all_named() -> None:
    found = problems(question("a", next="nowhere"), choice("b", option("x", next="booking")))

    assert found == [
        ("UNKNOWN_TARGET", "definition.questions.0.next"),
        ("UNKNOWN_TARGET", "definition.questions.1.options.0.next"),
    ]


@pytest.mark.parametrize(
    ("questions", "path"),
    [
        ([question("A")], "questions.0.id"),
        ([question("a"), question("a")], "questions.1.id"),
        ([{"id": "a", "type": "text"}], "questions.0.label"),
        ([question("a", type="colour")], "questions.0.type"),
        ([question("a", label="")], "questions.0.label"),
        ([question("a", lable="x")], "questions.0.lable"),
        ([question("a", required="yes")], "questions.0.required"),
        ([question("a", options=[option("x")])], "questions.0.options"),
        ([choice("a")], "questions.0.options"),
        ([choice("a", option("x"), option("x"))], "questions.0.options.1.value"),
        ([choice("a", option("<b>"))], "questions.0.options.0.value"),
        ([choice("a", option("x", next="THANKS"), type="multi")], "questions.0.options.0.next"),
        ([question("a", type="number", min=3, max=2)], "questions.0.min"),
        ([question("a", type="number", min=float("inf"))], "questions.0.min"),
        ([question("a", maxLength=0)], "questions.0.maxLength"),
        ([question(f"q{number}") for number in range(51)], "questions"),
    ],
)
def test_what_is_no_survey_is_refused_with_its_path(questions: list[dict[str, Any]], path: str) -> None:
    assert problems(*questions) == [("INVALID_SURVEY", f"definition.{path}")]


@pytest.mark.parametrize("definition", [None, [], "x", 7, {"questions": {}}, {"questions": [None]}, {"version": "1"}])
def test_what_is_no_object_of_questions_is_refused(definition: object) -> None:
    with pytest.raises(SurveyError) as refused:
        checked_survey(definition)
    assert (refused.value.field or ("",))[0] == "definition"


def test_a_large_survey_full_of_branches_is_checked_without_walking_each_way() -> None:
    """Two ways out of each question are 2 ** 49 ways through."""
    names = [f"q{number}" for number in range(50)]
    following = [*names[1:], "THANKS"]
    questions = [
        choice(name, option("x", next=after), option("y", next=after), required=True)
        for name, after in zip(names, following, strict=True)
    ]

    assert len(checked_survey({"questions": questions}).questions) == 50
    questions[-1]["options"][1]["next"] = "q0"
    assert ("CYCLE", "definition.questions.49.options.1.next") in problems(*questions)
