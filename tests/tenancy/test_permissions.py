from __future__ import annotations

import pytest
import strawberry
from graphql import GraphQLSchema
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lead_orchestrator.errors import ConfigurationError
from lead_orchestrator.graphql.permissions import guard, root_fields
from lead_orchestrator.graphql.schema import core_schema
from lead_orchestrator.ids import Kind
from lead_orchestrator.rest.admission import admitted
from lead_orchestrator.tenancy.access import Access
from lead_orchestrator.tenancy.permissions import FOUND, OPERATIONS, ROUTES
from lead_orchestrator.tenancy.revocation import RevocationList
from lead_orchestrator.tenancy.tokens import TokenVerifier
from tools.roles import roles_page


@strawberry.type
class Query:
    @strawberry.field
    def viewer(self) -> str:
        return "somebody"


@strawberry.type
class Mutation:
    @strawberry.mutation
    def forget_everything(self) -> bool:
        return True


def core(schema: strawberry.Schema) -> GraphQLSchema:
    return schema._schema  # noqa: SLF001 - the library offers no other way to it


def test_a_mutation_that_nobody_has_spoken_about_keeps_the_schema_from_being_made() -> None:
    with pytest.raises(ConfigurationError, match=r"Mutation\.forgetEverything"):
        guard(core(strawberry.Schema(query=Query, mutation=Mutation)))


def test_a_route_that_nobody_has_spoken_about_keeps_the_api_from_starting() -> None:
    async def forget(_request: Request) -> Response:
        return Response()

    access = Access(TokenVerifier([], "issuer", "audience"), RevocationList())
    with pytest.raises(ConfigurationError, match="DELETE /everything"):
        admitted([Route("/everything", forget, methods=["DELETE"])], access)


def test_the_table_has_a_row_for_each_operation_and_none_too_many() -> None:
    assert {name for name, _ in root_fields(core_schema())} == set(OPERATIONS)


def test_the_table_has_a_row_for_each_kind_of_id() -> None:
    assert set(FOUND) == set(Kind)


@pytest.mark.parametrize(
    "table", [list(OPERATIONS), [kind.name for kind in FOUND], list(ROUTES)], ids=["operations", "kinds", "routes"]
)
def test_the_rows_are_in_the_order_of_their_names(table: list[str]) -> None:
    assert table == sorted(table)


def test_the_page_marks_what_the_table_says() -> None:
    rows = {line.split("|")[1].strip(): line.split("|")[2:-1] for line in roles_page().splitlines() if line[:1] == "|"}

    assert [cell.strip() for cell in rows["`auditLog`"]] == ["", "", "", "", "●", ""]
    assert [cell.strip() for cell in rows["`viewer`"]] == ["", "●", "●", "●", "●", "●"]
