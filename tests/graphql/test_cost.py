"""What an operation costs is what its answer can hold, counted before it is read."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import GraphQLError

from lead_orchestrator.graphql.cost import MOST_COST, Costs, TooComplexError
from lead_orchestrator.graphql.schema import core_schema
from tests.graphql.conftest import Franchise
from tests.graphql.server import Api

MESSAGES = "messages(first: 3) { edges { node { id body } } }"
COSTS: dict[str, tuple[str, dict[str, Any], int]] = {
    "an object": ("{ viewer { role } }", {}, 1),
    "nothing but its type": ("{ __typename }", {}, 0),
    "a page": ("{ leads(first: 50) { edges { node { id } } } }", {}, 51),
    "a page without its size": ("{ leads { edges { cursor } } }", {}, 26),
    "a total without its page": ("{ leads(first: 50) { totalCount pageInfo { hasNextPage } } }", {}, 2),
    "a page in a page": (f"{{ leads(first: 50) {{ edges {{ node {{ location {{ id }} {MESSAGES} }} }} }} }}", {}, 301),
    "a page by a variable": ("query($n: Int) { leads(first: $n) { edges { node { id } } } }", {"n": 7}, 8),
    "a page by a variable that is null": ("query($n: Int = 9) { leads(first: $n) { edges { cursor } } }", {"n": None}, 26),
    "a page by a variable's default": ("query($n: Int = 9) { leads(first: $n) { edges { cursor } } }", {}, 10),
    "a page by a variable that is not given": ("query($n: Int) { leads(first: $n) { edges { cursor } } }", {}, 26),
    "a page beyond the largest": ("{ leads(first: 1000000) { edges { cursor } } }", {}, 101),
    "an odd size": ("query($n: Int) { leads(first: $n) { edges { cursor } } }", {"n": 10**400}, 101),
    "aliases": ("{ a: viewer { role } b: viewer { role } }", {}, 2),
    "the same field twice": (
        "{ leads { edges { node { id } } } ...A } fragment A on Query { leads { edges { node { name } } } }",
        {},
        26,
    ),
    "a fragment in two places": (
        "{ a: leads(first: 2) { ...L } b: leads(first: 3) { ...L } } fragment L on LeadConnection { edges { node { id } } }",
        {},
        2 + 2 + 3,
    ),
    "what is skipped": ("{ leads { edges @skip(if: true) { cursor } } }", {}, 1),
    "what is not included": ("query($y: Boolean!) { leads { edges @include(if: $y) { cursor } } }", {"y": False}, 1),
    "what is included": ("query($y: Boolean!) { leads { edges @include(if: $y) { cursor } } }", {"y": True}, 26),
    "as many nodes as ids": ("query($i: [ID!]!) { nodes(ids: $i) { id } }", {"i": ["a", "b", "c"]}, 3),
    "as many nodes as are written": ('{ nodes(ids: ["a", "b"]) { id } }', {}, 2),
    "the dearest type of an interface": (
        f'{{ node(id: "x") {{ ... on Lead {{ {MESSAGES} location {{ id }} }} ... on Message {{ lead {{ id }} }} }} }}',
        {},
        1 + 4 + 1,
    ),
    "a list without pages": ("{ leads(first: 10) { edges { node { consents { channel } } } } }", {}, 1 + 10 * (1 + 5)),
    "a mutation": ('mutation { pauseTouches(leadId: "x") { lead { id } errors { code } } }', {}, 10 + 1 + 1 + 5),
}  # fmt: skip


@pytest.fixture(scope="module")
def costs() -> Costs:
    return Costs(core_schema())


@pytest.mark.parametrize(("document", "variables", "cost"), COSTS.values(), ids=COSTS)
def test_an_operation_costs_what_its_answer_can_hold(
    costs: Costs, document: str, variables: dict[str, Any], cost: int
) -> None:
    assert costs.of(document, variables, None) == cost
    assert costs.of(document, variables, None) == cost


def test_nested_pages_multiply(costs: Costs) -> None:
    document = "query($n: Int!) { leads(first: $n) { edges { node { messages(first: $n) { edges { node { lead { id } } } } } } } }"

    assert costs.of(document, {"n": 40}, None) == 1 + 40 * (1 + 1 + 40 * 2)
    with pytest.raises(TooComplexError, match=r"costs 20201 where 5000 is the most") as refused:
        costs.of(document, {"n": 100}, None)
    assert refused.value.extensions == {"cost": 20_201, "maximum": MOST_COST}


@pytest.mark.parametrize("document", ["{ nowhere { id } }", "fragment A on Lead { id }", 5, None])
def test_what_is_no_valid_operation_is_left_to_whoever_says_what_is_wrong(costs: Costs, document: object) -> None:
    assert costs.of(document, {}, None) in (None, 0)


def test_what_cannot_be_read_is_refused_at_once(costs: Costs) -> None:
    for _ in range(2):
        with pytest.raises(GraphQLError, match="Syntax Error"):
            costs.of("{ leads", {}, None)
        with pytest.raises(GraphQLError, match="levels deep"):
            costs.of("{ a " * 20 + "}" * 20, {}, None)
    with pytest.raises((RecursionError, GraphQLError)):
        costs.of("{ a " * 600 + "}" * 600, {}, None)


def test_of_several_operations_the_named_one_counts(costs: Costs) -> None:
    document = "query A { viewer { role } } query B { leads { edges { cursor } } }"

    assert [costs.of(document, {}, name) for name in ("A", "B", None)] == [1, 26, None]


async def test_the_answer_says_what_it_cost(api: Api, ours: Franchise) -> None:
    document = "query($n: Int) { leads(first: $n) { edges { node { id } } } viewer { role } }"
    written = """mutation($l: ID!) { pauseTouches(leadId: $l) { lead { id } } }"""
    headers = {"authorization": f"Bearer {ours.owner}"}

    read = await api.http.post("/graphql", json={"query": document, "variables": {"n": 9}}, headers=headers)
    planned = await api.http.post("/graphql", json={"query": "{ leads { totalCount } }"}, headers=headers)
    wrote = await api.http.post("/graphql", json={"query": written, "variables": {"l": ours.lead_id}}, headers=headers)

    costs = [got.json()["extensions"]["cost"]["requested"] for got in (read, planned, wrote)]
    assert costs == [11, 2, 12]
    assert planned.json()["data"] == {"leads": {"totalCount": 1}}


async def test_the_refusal_says_cost_and_maximum(api: Api, ours: Franchise) -> None:
    document = "{ leads(first: 100) { edges { node { messages(first: 100) { edges { node { id } } } } } } }"

    refused = await api.ask(ours.owner, document)

    assert (refused.data, refused.codes) == (None, ["QUERY_TOO_COMPLEX"])
    assert refused.errors[0]["extensions"] == {"code": "QUERY_TOO_COMPLEX", "cost": 10_201, "maximum": 5_000}
