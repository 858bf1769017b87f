"""The schema: its roots, its limits, and how it is written down."""

from __future__ import annotations

from functools import cache
from typing import Any

import strawberry
from graphql import GraphQLSchema, lexicographic_sort_schema, print_schema
from strawberry.extensions import SchemaExtension
from strawberry.schema.config import StrawberryConfig

from lead_orchestrator.graphql.catalog.types import Service
from lead_orchestrator.graphql.chat.types import ChatMessage
from lead_orchestrator.graphql.documents import made_manifest
from lead_orchestrator.graphql.known import ReadOnce, known_documents
from lead_orchestrator.graphql.lead_types import Message
from lead_orchestrator.graphql.limits import NamedOperation
from lead_orchestrator.graphql.mutations import Mutation
from lead_orchestrator.graphql.permissions import guard
from lead_orchestrator.graphql.queries import Query
from lead_orchestrator.graphql.scalars import SCALARS
from lead_orchestrator.graphql.subscriptions import SocketsOnly, Subscription
from lead_orchestrator.graphql.tenant_types import Location, Tenant, User

__all__ = ["core_schema", "documents_manifest", "make_schema", "schema_sdl"]


class _Schema(strawberry.Schema):
    def process_errors(self, *_: Any, **__: Any) -> None:
        """Errors are logged where they are masked, without the values the library would write down."""


@cache
def make_schema(*, development: bool) -> strawberry.Schema:
    """The schema; in development it can be asked about itself and suggests names that were meant.

    Raises:
        ConfigurationError: nobody has said who may ask for one of its root fields.
    """
    extensions: list[type[SchemaExtension]] = [ReadOnce, NamedOperation, SocketsOnly]
    schema = _Schema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        types=[ChatMessage, Service, Location, Message, Tenant, User],
        extensions=extensions,
        config=StrawberryConfig(disable_field_suggestions=not development, scalar_map=SCALARS),
    )
    known_documents(_core(schema), development=development)
    guard(_core(schema))
    return schema


def core_schema() -> GraphQLSchema:
    """The schema as graphql-core has it."""
    return _core(make_schema(development=True))


def _core(schema: strawberry.Schema) -> GraphQLSchema:
    return schema._schema  # noqa: SLF001 - the library offers no other way to it


def documents_manifest() -> str:
    """The manifest of the trusted documents, as it has to be committed."""
    return made_manifest(core_schema())


def schema_sdl() -> str:
    """The schema in SDL, sorted, so that the same schema is the same text."""
    return print_schema(lexicographic_sort_schema(core_schema())) + "\n"
