"""The values of variables and arguments, as graphql-core coerces them, with what never changes worked out once a document."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from graphql import (
    FieldNode,
    GraphQLError,
    GraphQLField,
    GraphQLInputType,
    GraphQLNonNull,
    GraphQLSchema,
    Undefined,
    VariableDefinitionNode,
    VariableNode,
    is_leaf_type,
)
from graphql.execution.get_variable_signature import GraphQLVariableSignature, get_variable_signature
from graphql.execution.values import VariableValues, VariableValueSource, get_argument_values, get_variable_values
from graphql.utilities import coerce_input_value

__all__ = ["ArgumentReader", "VariableReader", "VariableValues", "mentions_variable"]


class VariableReader:
    """Coerces the variables of one operation."""

    def __init__(self, schema: GraphQLSchema, definitions: Sequence[VariableDefinitionNode]) -> None:
        self._schema = schema
        self._definitions = definitions
        found = [get_variable_signature(schema, definition) for definition in definitions]
        self._signatures = [(one, _coercion(one.type)) for one in found if isinstance(one, GraphQLVariableSignature)]

    def read(self, given: Mapping[str, Any]) -> VariableValues:
        """Raises GraphQLError: a value does not fit, or one that is required is missing."""
        sources: dict[str, VariableValueSource] = {}
        coerced: dict[str, Any] = {}
        for signature, coerce in self._signatures:
            name = signature.name
            value = given.get(name, Undefined)
            if value is Undefined:
                if signature.default is not None or isinstance(signature.type, GraphQLNonNull):
                    return self._as_the_library(given)
                continue
            fitting = coerce(value)
            if fitting is Undefined:
                return self._as_the_library(given)
            sources[name], coerced[name] = VariableValueSource(signature, value), fitting
        return VariableValues(sources, coerced)

    def _as_the_library(self, given: Mapping[str, Any]) -> VariableValues:
        """What is rare, or wrong: the library has the defaults, and the words."""
        values = get_variable_values(self._schema, self._definitions, dict(given))
        if isinstance(values, list):
            raise values[0]
        return values


def _coercion(kind: GraphQLInputType) -> Callable[[Any], Any]:
    """As the library coerces values of this type, Undefined where one does not fit; what stays the same is found out once."""
    leaf = kind.of_type if isinstance(kind, GraphQLNonNull) else kind
    if not is_leaf_type(leaf):
        return lambda value: coerce_input_value(value, kind)
    read, missing = leaf.coerce_input_value, Undefined if leaf is not kind else None

    def coerced(value: Any) -> Any:
        if value is None:
            return missing
        try:
            return read(value)
        except Exception:  # noqa: BLE001 - as the library has it: whatever it is, the value does not fit
            return Undefined

    return coerced


class ArgumentReader:
    """Coerces the arguments of one field; `constant` are all there are where no variable is among them, else None."""

    def __init__(self, definition: GraphQLField, node: FieldNode) -> None:
        self._definition = definition
        self._node = node
        self.constant = None if mentions_variable(node) else get_argument_values(definition, node, None)
        self._variables = list(_whole_variables(definition, node))
        self._fixed = self._rest() if self._variables else None

    def read(self, values: VariableValues) -> Mapping[str, Any]:
        """Raises GraphQLError: an argument does not fit."""
        if self._fixed is None:
            return self.constant or get_argument_values(self._definition, self._node, values)
        arguments, coerced = dict(self._fixed), values.coerced
        for argument, variable, nullable in self._variables:
            value = coerced.get(variable, Undefined)
            if value is Undefined or (value is None and not nullable):
                return get_argument_values(self._definition, self._node, values)
            arguments[argument] = value
        return arguments

    def _rest(self) -> dict[str, Any] | None:
        """The arguments that are no variables, if nothing else in them is one."""
        taken = {argument for argument, _, _ in self._variables}
        node = FieldNode(
            name=self._node.name,
            arguments=tuple(one for one in self._node.arguments or () if one.name.value not in taken),
        )
        if mentions_variable(node):
            return None
        rest = {name: one for name, one in self._definition.args.items() if name not in taken}
        try:
            return get_argument_values(GraphQLField(self._definition.type, args=rest), node, None)
        except GraphQLError:
            return None  # said when it is asked for


def _whole_variables(definition: GraphQLField, node: FieldNode) -> Iterator[tuple[str, str, bool]]:
    """Arguments that are a variable and nothing else: their name, the variable's, and whether they may be null."""
    for argument in node.arguments or ():
        declared = definition.args[argument.name.value]
        if isinstance(argument.value, VariableNode) and not declared.out_name:
            yield argument.name.value, argument.value.name.value, not isinstance(declared.type, GraphQLNonNull)


def mentions_variable(node: FieldNode) -> bool:
    """Whether a variable is anywhere in the field's arguments."""
    waiting: list[Any] = [argument.value for argument in node.arguments or ()]
    while waiting:
        value = waiting.pop()
        if value.kind == "variable":
            return True
        waiting += getattr(value, "values", None) or ()
        waiting += [part.value for part in getattr(value, "fields", None) or ()]
    return False
