"""A document is read once, and what is kept of documents is bounded."""

from __future__ import annotations

from traceback import walk_tb

import pytest
from graphql import GraphQLError, GraphQLSchema, build_schema

from lead_orchestrator.graphql.cost import Costs
from lead_orchestrator.graphql.known import KnownDocument, KnownDocuments, known_documents

BOTH = 'query A { a(s: "x") { __typename } } query B { a { a { __typename } } }'


@pytest.fixture
def schema() -> GraphQLSchema:
    return build_schema("type Query { a(s: String): Query }")


def test_whoever_asks_gets_the_same_document(schema: GraphQLSchema) -> None:
    known = known_documents(schema)
    first = known.read(BOTH)

    assert Costs(schema).of(BOTH, {}, "B") == 2
    assert known_documents(schema).read(BOTH) is first
    assert first.errors is first.errors
    assert len(known) == 1


def test_the_operation_that_is_meant_is_found_once(schema: GraphQLSchema) -> None:
    document = known_documents(schema).read(BOTH)
    asked: list[str | None] = []

    def noting(known: KnownDocument, name: str | None) -> bool:
        asked.append(name)
        return known.named(name) is not None

    found = [document.found(noting, name) for name in ("A", "B", None, "A", "B", None)]

    assert found == [True, True, False, True, True, False]
    assert asked == ["A", "B", None]


def test_names_that_no_operation_has_are_not_kept(schema: GraphQLSchema) -> None:
    document = known_documents(schema).read(BOTH)
    asked: list[str | None] = []

    def noting(_known: KnownDocument, name: str | None) -> None:
        asked.append(name)

    for _ in range(3):
        document.found(noting, "C")

    assert asked == ["C"] * 3


def test_what_is_kept_is_bounded_by_its_length(schema: GraphQLSchema) -> None:
    known = KnownDocuments(schema)

    for number in range(3_000):
        known.read(f'{{ a(s: "{number:01000}") {{ __typename }} }}')
    assert 800 < len(known) < 1_000
    known.read(BOTH + "#" * 20_000)

    assert known.read(BOTH + "#" * 20_000) is not known.read(BOTH + "#" * 20_000)


def test_an_error_is_the_same_each_time(schema: GraphQLSchema) -> None:
    known = KnownDocuments(schema)
    depths = set()

    for _ in range(5):
        with pytest.raises(GraphQLError, match="Syntax Error") as raised:
            known.read("{ a(")
        depths.add(len(list(walk_tb(raised.value.__traceback__))))

    assert len(depths) <= 2  # read at first, known then
    assert len(known) == 1


def test_the_wrong_is_told_apart_by_validation(schema: GraphQLSchema) -> None:
    known = KnownDocuments(schema)

    assert known.read(BOTH).errors == []
    assert [error.message for error in known.read("{ b }").errors] == ["Cannot query field 'b' on type 'Query'."]
