"""The schema: its roots, its limits, and how it is written down."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import strawberry
from graphql import GraphQLSchema, lexicographic_sort_schema, print_schema
from strawberry.extensions import (
    AddValidationRules,
    DisableIntrospection,
    MaxTokensLimiter,
    ParserCache,
    SchemaExtension,
    ValidationCache,
)
from strawberry.schema.config import StrawberryConfig

from lead_orchestrator.graphql.catalog.types import Service
from lead_orchestrator.graphql.chat.types import ChatMessage
from lead_orchestrator.graphql.documents import made_manifest
from lead_orchestrator.graphql.lead_types import Message
from lead_orchestrator.graphql.limits import MOST_TOKENS, NamedOperation, OperationSize, StorableText
from lead_orchestrator.graphql.mutations import Mutation
from lead_orchestrator.graphql.permissions import guard
from lead_orchestrator.graphql.queries import Query
from lead_orchestrator.graphql.scalars import SCALARS
from lead_orchestrator.graphql.subscriptions import SocketsOnly, Subscription
from lead_orchestrator.graphql.tenant_types import Location, Tenant, User

if TYPE_CHECKING:
    from collections.abc import Callable

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
    extensions: list[Callable[[], SchemaExtension]] = [
        lambda: MaxTokensLimiter(max_token_count=MOST_TOKENS),
        lambda: AddValidationRules([OperationSize, StorableText]),
        ParserCache,
        ValidationCache,
        NamedOperation,
        SocketsOnly,
    ]
    if not development:
        extensions.insert(0, DisableIntrospection)
    schema = _Schema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        types=[ChatMessage, Service, Location, Message, Tenant, User],
        extensions=extensions,
        config=StrawberryConfig(disable_field_suggestions=not development, scalar_map=SCALARS),
    )
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
