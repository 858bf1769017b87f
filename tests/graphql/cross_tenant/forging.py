"""Arguments for an attack: those of an example, and others like them that a schema's types allow."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    Undefined,
    get_named_type,
)

from lead_orchestrator.ids import Kind, kind_of
from tests.graphql.cross_tenant.documents import LONGEST_LIST, Document, Root
from tests.graphql.cross_tenant.examples import EXAMPLES, Example, Id

__all__ = ["Forger", "Pool", "exact", "example_of", "kind_named"]

STEMS = {"session": Kind.CHAT_SESSION, "chat": Kind.CHAT_SESSION}
"""What an argument is called when it is not called after its kind, as `leadId` is."""

PAGES = {"first"}
ADDRESSES = {"phone", "email", "to", "slug", "locationSlug"}
"""Texts that a mutation may look somebody up by."""

WORDS: Mapping[str, Sequence[Any]] = {
    "Int": [1, 2, 5, 13],
    "Float": [0.5, 1.0],
    "Boolean": [True, False],
    "DateTime": ["2026-03-01T09:30:00Z", "2031-05-01T17:00:00Z", "2020-01-01T00:00:00-08:00"],
    "Date": ["2026-03-01", "2026-03-31", "2026-12-01"],
    "Time": ["09:00", "18:30"],
    "Cents": [0, 10_900],
    "JSON": [{"glass": "rear"}, {}],
    "String": ["Grace", "tint", "", "%", "+12135550188"],
}


def kind_named(name: str) -> Kind | None:
    """The kind that an argument's or a type's name tells: of leadId, leadIds, lead and Lead."""
    stem = re.sub("Ids?$", "", name)
    snake = re.sub("(?<!^)(?=[A-Z])", "_", stem).upper()
    return STEMS.get(stem) or Kind.__members__.get(snake)


def kind_answered(field: GraphQLField) -> Kind | None:
    """The kind that a field answers with, by itself or in the payload of a mutation."""
    kind = get_named_type(field.type)
    below = kind.fields.values() if isinstance(kind, GraphQLObjectType) and kind.name.endswith("Payload") else ()
    names = [kind.name, *(get_named_type(one.type).name for one in below)]
    return next((found for name in names if (found := kind_named(name))), None)


def example_of(root: Root, registered: Mapping[str, Example] = EXAMPLES) -> Example:
    """The registered one, or what the required arguments say of themselves.

    Raises:
        AssertionError: they do not say enough.
    """
    known = registered.get(root.name)
    if known is not None:
        return known
    wanted = {
        name: _default(root, name, argument.type)
        for name, argument in root.definition.args.items()
        if isinstance(argument.type, GraphQLNonNull) and argument.default_value is Undefined
    }
    return Example(wanted)


def _default(root: Root, name: str, kind: Any) -> Any:
    kind = kind.of_type if isinstance(kind, GraphQLNonNull) else kind
    if isinstance(kind, GraphQLList):
        return [_default(root, name, kind.of_type)]
    if isinstance(kind, GraphQLInputObjectType):
        return {
            inner: _default(root, inner, found.type)
            for inner, found in kind.fields.items()
            if isinstance(found.type, GraphQLNonNull) and found.default_value is Undefined
        }
    if isinstance(kind, GraphQLEnumType):
        return next(iter(kind.values))
    if kind.name == "ID":
        meant = kind_named(name) or kind_answered(root.definition)
        assert meant, (
            f"add {root.name!r} to EXAMPLES in tests/graphql/cross_tenant/examples.py: {name} is an id of no known kind"
        )
        return Id(meant)
    return WORDS[kind.name][0]


@dataclass(frozen=True)
class Pool:
    """What somebody has: ids by kind, cursors by the field they are of, texts to look for."""

    ids: Mapping[Kind, Sequence[str]]
    cursors: Mapping[str, Sequence[str]] = field(default_factory=dict)
    texts: Sequence[str] = ()


def exact(document: Document, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """These arguments for each copy; pages are as long as they are without asking, below the root short."""
    variables = {place.variable: 2 for place in document.places if place.name in PAGES and not place.of_root}
    given = [place for place in document.places if place.of_root and place.name in arguments]
    return variables | {place.variable: arguments[place.name] for place in given}


@dataclass(frozen=True)
class Forger:
    """Makes the variables of a document for somebody who has `own` and wants what `victim` has."""

    schema: GraphQLSchema
    rng: random.Random
    own: Pool
    victim: Pool

    def forged(self, document: Document, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments like those, with ids of all sorts, and some more that are optional."""
        variables = {}
        for place in document.places:
            mutation = document.root.operation.value == "mutation"
            make = _Values(self, place.path, mutation=mutation)
            kind = place.definition.type
            if place.name in PAGES and not place.of_root:
                variables[place.variable] = self.rng.randrange(1, 4)
            elif place.of_root and place.name in arguments:
                variables[place.variable] = make.like(arguments[place.name], kind)
            elif isinstance(kind, GraphQLNonNull) or self.rng.random() < (0.4 if place.of_root else 0.15):
                variables[place.variable] = make.value(place.name, kind)
        return variables

    def led(self, document: Document, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Exactly these arguments for the first copy, forged ones for the others."""
        variables = self.forged(document, arguments)
        for place in [place for place in document.places if place.of_root][: len(document.root.definition.args)]:
            variables.pop(place.variable, None)
            if place.name in arguments:
                variables[place.variable] = arguments[place.name]
        return variables

    def identity(self, given: str) -> str:
        """Another id in the place of this one."""
        kind = kind_of(given)
        assert kind is not None, given
        return _Values(self, "", mutation=True).identity(kind, given)


@dataclass(frozen=True)
class _Values:
    forger: Forger
    path: str
    mutation: bool

    @property
    def rng(self) -> random.Random:
        return self.forger.rng

    def like(self, given: Any, kind: Any) -> Any:
        """The example's value with its ids forged; of an input object some more fields may be there."""
        kind = kind.of_type if isinstance(kind, GraphQLNonNull) else kind
        if isinstance(given, Mapping) and isinstance(kind, GraphQLInputObjectType):
            made = {name: self.like(value, kind.fields[name].type) for name, value in given.items()}
            for name, found in kind.fields.items():
                if name not in given and self.rng.random() < 0.15:
                    made[name] = self.value(name, found.type)
            return made
        if isinstance(given, list) and isinstance(kind, GraphQLList):
            return [self.like(value, kind.of_type) for value in given] + self._more(given)
        if isinstance(given, str) and (meant := kind_of(given)):
            return self.identity(meant, given)
        return given

    def value(self, name: str, kind: Any) -> Any:
        if isinstance(kind, GraphQLNonNull):
            return self._present(name, kind.of_type)
        return None if self.rng.random() < 0.1 else self._present(name, kind)

    def identity(self, kind: Kind, exact: str | None = None) -> str:
        """Most often an id of the victim's of the right kind."""
        ours, all_theirs = self.forger.own.ids, self.forger.victim.ids
        theirs = all_theirs.get(kind) or [f"{kind.value}_{UUID(int=self.rng.getrandbits(128))}"]
        other = self.rng.choice([one for found in all_theirs.values() for one in found])
        sort = self.rng.random()
        if exact is not None and sort < 0.3:
            return exact
        if sort < 0.65:
            return self.rng.choice(theirs)
        if sort < 0.75:
            return f"{kind.value}_{other.partition('_')[2]}"
        if sort < 0.8:
            return other
        if sort < 0.85:
            return self.rng.choice([theirs[0].upper(), f" {theirs[0]}", f"{theirs[0]}'--", theirs[0].partition("_")[2]])
        return self.rng.choice(ours.get(kind) or theirs)

    def _more(self, given: Sequence[Any]) -> list[Any]:
        kinds = [kind for one in given if isinstance(one, str) and (kind := kind_of(one))]
        return (
            [self.identity(self.rng.choice(kinds)) for _ in range(self.rng.randrange(LONGEST_LIST - 3))]
            if kinds
            else []
        )

    def _present(self, name: str, kind: Any) -> Any:
        if isinstance(kind, GraphQLList):
            return [self.value(name, kind.of_type) for _ in range(self.rng.randrange(1, LONGEST_LIST))]
        if isinstance(kind, GraphQLEnumType):
            return self.rng.choice(list(kind.values))
        if isinstance(kind, GraphQLInputObjectType):
            needed = {n for n, found in kind.fields.items() if isinstance(found.type, GraphQLNonNull)}
            return {
                inner: self.value(inner, found.type)
                for inner, found in kind.fields.items()
                if inner in needed or self.rng.random() < 0.4
            }
        assert isinstance(kind, GraphQLScalarType)
        return self._scalar(name, kind.name)

    def _scalar(self, name: str, kind: str) -> Any:
        if kind == "ID":
            meant = kind_named(name) or self._kind_of_field()
            return self.identity(meant or self.rng.choice(list(Kind)))
        if kind == "String" and name in {"after", "before"}:
            return self._cursor()
        if kind == "String" and (name in ADDRESSES or not self.mutation) and self.rng.random() < 0.7:
            return self.rng.choice(self.forger.victim.texts or WORDS["String"])
        return self.rng.choice(WORDS.get(kind, WORDS["String"]))

    def _kind_of_field(self) -> Kind | None:
        owner, _, name = self.path.partition(".")
        kind = self.forger.schema.get_type(owner)
        found = kind.fields.get(name) if isinstance(kind, GraphQLObjectType) else None
        return kind_answered(found) if found else None

    def _cursor(self) -> str:
        """One of this field's, most often the victim's."""
        whose = self.forger.victim if self.rng.random() < 0.8 else self.forger.own
        known = whose.cursors.get(self.path)
        anything: Callable[[], str] = lambda: self.rng.choice(["lev_0", "aud_999999", "", "W10"])  # noqa: E731 - a value made when it is wanted
        return self.rng.choice(known) if known and self.rng.random() < 0.9 else anything()
