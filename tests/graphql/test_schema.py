from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from graphql import build_schema, parse
from strawberry.types import get_object_definition

from lead_orchestrator.graphql.mutations import Mutation
from lead_orchestrator.graphql.queries import Query
from lead_orchestrator.graphql.schema import schema_sdl
from lead_orchestrator.tenancy.tokens import Role

ROOT = Path(__file__).resolve().parents[2]


def _root_resolvers() -> Iterator[tuple[str, object]]:
    for root in (Query, Mutation):
        for field in get_object_definition(root, strict=True).fields:
            assert field.base_resolver is not None
            yield f"{root.__name__}.{field.name}", field.base_resolver.wrapped_func


PUBLIC = {"Query.available_slots", "Query.viewer"}
ADMINISTRATION = {"Query.tenants", "Query.unrouted_webhooks", "Mutation.replay_unrouted_webhook"}
LOWEST = {name: getattr(resolver, "lowest_role", None) for name, resolver in _root_resolvers()}


@pytest.mark.parametrize("name", LOWEST)
def test_every_field_of_a_root_declares_who_may_ask(name: str) -> None:
    assert isinstance(LOWEST[name], Role)
    assert (LOWEST[name] is Role.VISITOR) == (name in PUBLIC)
    assert (LOWEST[name] is Role.PLATFORM_ADMIN) == (name in ADMINISTRATION)


def test_the_committed_schema_is_the_code_s() -> None:
    assert (ROOT / "schema.graphql").read_text() == schema_sdl()


def test_the_schema_reads_as_a_schema() -> None:
    assert build_schema(schema_sdl()).query_type is not None
    assert parse(schema_sdl()).definitions
