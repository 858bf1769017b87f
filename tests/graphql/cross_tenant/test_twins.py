"""What the fuzz denies to others works for whom it belongs to, so that a denial proves something; what was done stands in the
audit trail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.graphql.cross_tenant.acts import MUTATIONS, Act, Line
from tests.graphql.cross_tenant.requests import REQUESTS
from tests.graphql.cross_tenant.trails import FROM, SILENT, Vocabulary, faults

ROOT = Path(__file__).parents[3]
DOCUMENTED = ROOT / "docs/audit-trail.md"


async def test_every_query_and_every_route_works_for_its_franchise(twins: Mapping[str, str | None]) -> None:
    lacking = [refused for refused in twins.values() if refused is not None]

    assert not lacking, "\n\n".join(lacking)


def test_routes_that_are_said_to_work_elsewhere_name_a_test() -> None:
    named = {request.elsewhere for request in REQUESTS.values() if request.elsewhere}

    assert [name for name in sorted(named) if not (ROOT / name).is_file()] == []


async def test_every_mutation_works_for_its_franchise(acts: Mapping[str, Act]) -> None:
    lacking = [act.refused for act in acts.values() if act.refused is not None]

    assert not lacking, "\n\n".join(lacking)


async def test_every_mutation_stands_in_the_audit_trail_without_what_was_given(
    acts: Mapping[str, Act], vocabulary: Vocabulary
) -> None:
    found = [f"{act.name} {fault}" for act in acts.values() for fault in faults(act, vocabulary)]

    assert not found, "\n".join(found)


async def test_every_line_is_documented(acts: Mapping[str, Act]) -> None:
    actions = {line.action for act in acts.values() for line in act.lines}

    told = DOCUMENTED.read_text()

    lacking = sorted(action for action in actions if f"`{action}`" not in told)
    assert not lacking, f"{', '.join(lacking)}: say in docs/audit-trail.md what it tells"


def test_only_mutations_that_there_are_may_be_silent() -> None:
    assert set(SILENT) <= set(MUTATIONS)


DONE = Line("user_1", "lead.corrected", "lead_0199aaaa-0000-7000-8000-000000000001", FROM, {"fields": ["first_name"]})
GIVEN = {"v0": {"firstName": "Grace", "messagesPerDay": 100}}


FAULTS: Sequence[tuple[Line | None, str]] = [
    (None, "left no line"),
    (DONE._replace(actor="tests"), "is not by user_1"),
    (DONE._replace(source=None), "is not from"),
    (DONE._replace(action="corrected"), "does not say what was done"),
    (DONE._replace(target="Grace"), "does not say to what"),
    (DONE._replace(detail={"to": "Grace"}), "says 'Grace'"),
    (DONE._replace(detail={"reason": "Grace"}), "says 'Grace'"),
    (DONE._replace(detail={"limits": [100]}), "says 100"),
]


async def test_a_line_that_lacks_or_tells_something_is_found(vocabulary: Vocabulary) -> None:
    def left(line: Line | None) -> list[str]:
        return faults(Act("updateLead", None, "user_1", GIVEN, ["leads"], [line] if line else []), vocabulary)

    assert left(DONE) == []
    assert [(line, fault) for line, fault in FAULTS if [fault in one for one in left(line)] != [True]] == []
