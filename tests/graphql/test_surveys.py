"""A location's survey through the API: every change is a version, and everything that is wrong is said at once."""

from __future__ import annotations

from typing import Any

from lead_orchestrator.tenancy.tokens import Role
from tests.graphql.conftest import Franchise
from tests.graphql.server import Api

SET = """mutation($l: ID!, $d: JSON!) { setSurvey(locationId: $l, definition: $d) {
  location { id survey } errors { code field message } } }"""
SHOWN = "query($l: ID!) { location(id: $l) { survey } }"
AUDIT = "query { auditLog { edges { node { action target detail } } } }"


def survey(*questions: dict[str, Any]) -> dict[str, Any]:
    return {"title": "Quote", "questions": list(questions)}


def question(name: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "type": "text", "label": "?", **more}


async def test_each_change_of_a_survey_is_its_next_version(api: Api, ours: Franchise) -> None:
    manager = api.token(ours.tenant.id, Role.MANAGER)
    first, second = survey(question("a")), survey(question("a"), question("b", required=True))

    answers = [
        (await api.ask(manager, SET, l=ours.location_id, d=definition)).ok["setSurvey"]
        for definition in (first, first, second, {**second, "version": 1})
    ]

    assert [answer["errors"] for answer in answers] == [[]] * 4
    assert [answer["location"]["survey"]["version"] for answer in answers] == [1, 1, 2, 2]
    shown = (await api.ask(ours.owner, SHOWN, l=ours.location_id)).ok["location"]["survey"]
    assert shown == {**second, "version": 2}
    entries = (await api.ask(ours.owner, AUDIT)).ok["auditLog"]["edges"]
    set_ones = [edge["node"] for edge in entries if edge["node"]["action"] == "survey.set"]
    assert [(node["target"], node["detail"]["version"]) for node in set_ones] == [
        (ours.location_id, 2),
        (ours.location_id, 1),
    ]


async def test_everything_that_is_wrong_is_said_and_nothing_changes(api: Api, ours: Franchise) -> None:
    wrong = survey(question("a", next="c"), question("b", next="nowhere"), question("c", next="gone"))

    answer = (await api.ask(ours.owner, SET, l=ours.location_id, d=wrong)).ok["setSurvey"]

    assert answer["location"] is None
    assert [(error["code"], error["field"]) for error in answer["errors"]] == [
        ("UNKNOWN_TARGET", ["definition", "questions", "1", "next"]),
        ("UNKNOWN_TARGET", ["definition", "questions", "2", "next"]),
    ]
    assert (await api.ask(ours.owner, SHOWN, l=ours.location_id)).ok["location"]["survey"] is None


async def test_a_survey_is_set_by_managers_of_the_location_only(api: Api, ours: Franchise, theirs: Franchise) -> None:
    agent = await api.ask(api.token(ours.tenant.id, Role.AGENT), SET, l=ours.location_id, d=survey())
    stranger = (await api.ask(theirs.owner, SET, l=ours.location_id, d=survey())).ok["setSurvey"]

    assert agent.codes == ["FORBIDDEN"]
    assert [error["code"] for error in stranger["errors"]] == ["NOT_FOUND"]
    assert (await api.ask(ours.owner, SHOWN, l=ours.location_id)).ok["location"]["survey"] is None
