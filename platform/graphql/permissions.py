"""Who may ask for what: each field of the schema's roots is wrapped by its row of the one table, and here it is decided.

What a role may see of a field's rows is decided by Postgres. A visitor's database role is granted single columns only, so
visitors are refused whatever reads whole rows; `viewer` answers them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from graphql import GraphQLField, GraphQLResolveInfo, GraphQLSchema, OperationType

from lead_orchestrator.graphql.context import Context
from lead_orchestrator.ids import Kind
from lead_orchestrator.tenancy.permissions import FOUND, Who, admit, operation_rule
from lead_orchestrator.tenancy.tokens import Role

__all__ = ["finds", "guard", "root_fields"]


def guard(schema: GraphQLSchema) -> None:
    """Let each root field be resolved for those alone who may ask for it.

    Raises:
        ConfigurationError: nobody has said who may ask for one of them.
    """
    for name, field in root_fields(schema):
        who = operation_rule(name)
        if field.resolve is not None and None not in who:
            field.resolve = _guarded(field.resolve, who)


def root_fields(schema: GraphQLSchema) -> Iterator[tuple[str, GraphQLField]]:
    """Every field of Query, Mutation and Subscription, by the name the table has for it."""
    for operation in OperationType:
        root = schema.get_root_type(operation)
        for name, field in root.fields.items() if root else ():
            yield f"{operation.value.title()}.{name}", field


def finds(role: Role, kind: Kind) -> bool:
    """Whether `node` may find what is of this kind."""
    return role in FOUND[kind]


def _guarded(resolve: Callable[..., Any], who: Who) -> Callable[..., Any]:
    def guarded(source: Any, info: GraphQLResolveInfo[Context], **arguments: Any) -> Any:
        admit(info.context.claims, who)
        return resolve(source, info, **arguments)

    return guarded
