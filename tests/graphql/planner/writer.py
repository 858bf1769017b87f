"""Writes operations from a schema alone: whatever it offers is asked for, in every way of writing that clients have."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol, TypeVar

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLUnionType,
    Undefined,
    get_named_type,
    is_leaf_type,
)
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

__all__ = ["Choices", "Dice", "Drawn", "Operation", "Samples", "write"]

T = TypeVar("T")

MOST_FIELDS, MOST_ALIASES, DEEPEST = 26, 20, 8
ALIASES = [
    *("cursor", "number", "json", "node", "nothing", "scope", "page", "object", "tenant_id", "id", "select", "count_1"),
    *("lead_1", "_", "order", "end", "row_to_json", "TenantId", "first", "x" * 58),
]
LONG_ALIAS = "a" * 70
ODD_FIRST = [0, -1, 101, 2**31 - 1]
ODD_TEXT = ["", "lead_", "nothing", "W10", "lead_00000000-0000-0000-0000-00000000000G", "ÄÖ", "lev_x"]


class Choices(Protocol):
    """Who decides what is written; the least is the simplest."""

    def number(self, least: int, most: int) -> int: ...

    def some(self, values: Sequence[T], least: int, most: int, *, unique: bool = False) -> list[T]:
        """From `least` to `most` of the values."""
        ...


@dataclass(frozen=True)
class Dice:
    """Many operations in a short time."""

    random: Random

    def number(self, least: int, most: int) -> int:
        return self.random.randint(least, most)

    def some(self, values: Sequence[T], least: int, most: int, *, unique: bool = False) -> list[T]:
        if unique:
            return self.random.sample(values, self.number(least, min(most, len(values))))
        return self.random.choices(values, k=self.number(least, most))


@dataclass(frozen=True)
class Drawn:
    """By hypothesis, which makes an operation simpler for as long as it fails, and takes its time over each."""

    draw: DrawFn

    def number(self, least: int, most: int) -> int:
        return self.draw(st.integers(least, most))

    def some(self, values: Sequence[T], least: int, most: int, *, unique: bool = False) -> list[T]:
        return self.draw(st.lists(st.sampled_from(values), min_size=least, max_size=most, unique=unique))


@dataclass(frozen=True)
class Operation:
    text: str
    variables: Mapping[str, Any]


@dataclass(frozen=True, repr=False)
class Samples:
    """Values that find something: ids by type, cursors by the field they are for, words by the argument's or type's name."""

    ids: Mapping[str, Sequence[str]]
    cursors: Mapping[str, Sequence[str]]
    words: Mapping[str, Sequence[str]]


@dataclass
class _Writer:
    choices: Choices
    schema: GraphQLSchema
    samples: Samples
    declared_fields: Mapping[str, Collection[str]]
    mistakes: int
    variables: dict[str, Any] = field(default_factory=dict)
    declared: list[str] = field(default_factory=list)
    fragments: dict[str, tuple[str, str]] = field(default_factory=dict)
    flags: list[str] = field(default_factory=list)
    fields_left: int = MOST_FIELDS
    aliases: int = 0

    def chance(self, percent: int) -> bool:
        return self.choices.number(0, 99) >= 100 - percent  # the simplest draw is the simplest operation

    def one(self, values: Sequence[Any]) -> Any:
        return values[self.choices.number(0, len(values) - 1)]

    def operation(self, roots: Sequence[str]) -> Operation:
        kind = self.schema.query_type
        assert kind is not None
        used: set[str] = set()
        parts = [self.field(kind.name, name, kind.fields[name], 0, used) for name in roots]
        if self.chance(8):
            parts.append("__typename")
        if self.chance(10):
            parts = [self.enclosed(kind.name, " ".join(parts))]
        head = f"query Q{'(' + ', '.join(self.declared) + ')' if self.declared else ''}"
        tail = " ".join(f"fragment {name} on {of} {{ {body} }}" for name, (of, body) in self.fragments.items())
        return Operation(f"{head} {{ {' '.join(parts)} }} {tail}", self.variables)

    def selection(self, kind: GraphQLObjectType | GraphQLInterfaceType | GraphQLUnionType, depth: int) -> str:
        if isinstance(kind, GraphQLInterfaceType | GraphQLUnionType):
            return self.abstract(kind, depth)
        shallow = [name for name, found in kind.fields.items() if is_leaf_type(get_named_type(found.type))]
        names = self.likely(kind, list(kind.fields) if depth < DEEPEST else shallow)
        used: set[str] = set()
        parts = [
            self.field(kind.name, name, kind.fields[name], depth, used)
            for name in self.choices.some(names, 2, 7)
            if self.fields_left > 0
        ]
        if self.chance(10) or not parts:
            parts.append("__typename")
        return self.spread(kind.name, parts)

    def likely(self, kind: GraphQLObjectType, names: Sequence[str]) -> Sequence[str]:
        """What leads further comes up often, and seldom what of a type is not declared. Few entries: of long lists the first
        ones are drawn too often."""
        declared = [name for name in names if name in self.declared_fields.get(kind.name, names)]
        if len(declared) < len(names) and (not declared or self.chance(1)):
            return [name for name in names if name not in declared]
        return declared + [name for name in declared if name in {"edges", "node"}] * 2

    def abstract(self, kind: GraphQLInterfaceType | GraphQLUnionType, depth: int) -> str:
        """One fragment for some of its types; their leaves are named apart, since they need not be of one type."""
        parts = ["__typename"] if isinstance(kind, GraphQLUnionType) or self.chance(50) else ["id"]
        possible = sorted(self.schema.get_possible_types(kind), key=lambda one: one.name)
        for concrete in self.choices.some(possible, 1, 3, unique=True):
            names = self.likely(concrete, list(concrete.fields))
            inner = [
                self.field(concrete.name, name, concrete.fields[name], depth, set(), apart=True)
                for name in self.choices.some(names, 1, 4)
                if self.aliases < MOST_ALIASES
            ]
            parts.append(f"... on {concrete.name} {{ {' '.join(inner or ['__typename'])} }}")
        if self.chance(10) and isinstance(kind, GraphQLInterfaceType):
            parts.append(f"... on {kind.name} {{ id }}")
        return " ".join(parts)

    def spread(self, kind: str, parts: list[str]) -> str:
        """Some of the fields within fragments."""
        if self.chance(12):
            cut = self.choices.number(0, len(parts) - 1)
            parts = [*parts[:cut], self.enclosed(kind, " ".join(parts[cut:]))]
        same = [name for name, (of, _) in self.fragments.items() if of == kind and "{" not in self.fragments[name][1]]
        if same and self.chance(15):
            parts.append(f"...{self.one(same)}")
        return " ".join(parts)

    def enclosed(self, kind: str, body: str) -> str:
        condition = self.directive()
        if self.chance(50):
            return f"... {self.one(['', f'on {kind}'])} {condition} {{ {body} }}"
        name = f"F{len(self.fragments)}"
        self.fragments[name] = (kind, body)
        return f"...{name} {condition}"

    def field(
        self, owner: str, name: str, found: GraphQLField, depth: int, used: set[str], *, apart: bool = False
    ) -> str:
        self.fields_left -= 1
        kind = get_named_type(found.type)
        plain = is_leaf_type(kind) and not found.args
        alias = self.alias(name, used, plain=plain, apart=apart)
        arguments = self.arguments(f"{owner}.{name}", found)
        below = "" if is_leaf_type(kind) else f"{{ {self.selection(kind, depth + 1)} }}"  # type: ignore[arg-type]  # composite
        return f"{alias}{name}{arguments}{self.directive()} {below}"

    def alias(self, name: str, used: set[str], *, plain: bool, apart: bool) -> str:
        """A field without arguments may stand twice; any other gets a name of its own when its own is taken."""
        free = name not in used and not apart
        if (free or (plain and not apart)) and (self.aliases >= MOST_ALIASES or not self.chance(15)):
            used.add(name)
            return ""
        self.aliases += 1
        chosen = LONG_ALIAS if self.mistakes and self.chance(10) else self.one(ALIASES)
        return f"{chosen}{self.aliases}: " if self.chance(70) or apart or chosen in used else self._taken(chosen, used)

    def _taken(self, alias: str, used: set[str]) -> str:
        if alias in {"id", "cursor", "number", "tenant_id", "first", "node"}:  # a field's own name: it might follow
            return f"{alias}{self.aliases}: "
        used.add(alias)
        return f"{alias}: "

    def directive(self) -> str:
        if not self.chance(8):
            return ""
        name, value = self.one(["include", "skip"]), self.one([True, False])
        if self.chance(50):
            return f" @{name}(if: {json.dumps(value)})"
        return f" @{name}(if: ${self.flag(value)})"

    def flag(self, value: bool) -> str:
        if self.flags and self.chance(40):
            return str(self.one(self.flags))
        name = f"f{len(self.flags)}"
        self.flags.append(name)
        if self.chance(30):
            self.declared.append(f"${name}: Boolean! = {json.dumps(value)}")
        else:
            self.declared.append(f"${name}: Boolean!")
            self.variables[name] = value
        return name

    def arguments(self, path: str, found: GraphQLField) -> str:
        if "orderBy" in found.args and self.chance(40):
            return self.ordered(path, found)
        given: list[str] = []
        only = self.one(list(found.args)) if path in EITHER else None
        for name, argument in found.args.items():
            if any(one.startswith(APART.get(name, "-")) for one in given):
                continue
            if isinstance(argument.type, GraphQLNonNull) or (name == only if only else self.chance(45)):
                given.append(f"{name}: {self.argument(path, name, argument)}")
        return f"({', '.join(given)})" if given else ""

    def ordered(self, path: str, found: GraphQLField) -> str:
        """A page of one of the orders of a list, from one of its own cursors."""
        kind = get_named_type(found.args["orderBy"].type)
        assert isinstance(kind, GraphQLEnumType)
        order = self.one(list(kind.values))
        after = self.one(self.samples.cursors.get(f"{path} {order}") or [None])
        first = self.value(path, "first", found.args["first"].type)
        return f"(orderBy: {order}, after: {json.dumps(after)}, first: {json.dumps(first)})"

    def argument(self, path: str, name: str, argument: GraphQLArgument) -> str:
        value = self.value(path, name, argument.type)
        if not self.chance(50):
            return self.literal(argument.type, value)
        variable = f"v{len(self.declared)}"
        optional = not isinstance(argument.type, GraphQLNonNull) and path not in EITHER
        default = ""
        if optional and self.chance(15):
            default = f" = {self.literal(argument.type, self.value(path, name, argument.type))}"
        self.declared.append(f"${variable}: {argument.type}{default}")
        if not (optional and self.chance(15)):
            self.variables[variable] = value
        return f"${variable}"

    def literal(self, kind: Any, value: Any) -> str:
        if value is None:
            return "null"
        if isinstance(kind, GraphQLNonNull):
            return self.literal(kind.of_type, value)
        if isinstance(kind, GraphQLList):
            return f"[{', '.join(self.literal(kind.of_type, item) for item in value)}]"
        if isinstance(kind, GraphQLInputObjectType):
            inner = (f"{name}: {self.literal(kind.fields[name].type, item)}" for name, item in value.items())
            return f"{{{', '.join(inner)}}}"
        if isinstance(kind, GraphQLEnumType):
            return str(value)
        return json.dumps(value)

    def value(self, path: str, name: str, kind: Any) -> Any:
        if isinstance(kind, GraphQLNonNull):
            return self.present(path, name, kind.of_type)
        return None if path not in EITHER and self.chance(8) else self.present(path, name, kind)

    def present(self, path: str, name: str, kind: Any) -> Any:
        if isinstance(kind, GraphQLList):
            count = self.choices.number(0, 4)
            return [self.value(path, name, kind.of_type) for _ in range(count)]
        if isinstance(kind, GraphQLEnumType):
            return self.one(list(kind.values))
        if isinstance(kind, GraphQLInputObjectType):
            return {
                inner: self.value(f"{kind.name}.{inner}", inner, found.type)
                for inner, found in kind.fields.items()
                if (isinstance(found.type, GraphQLNonNull) and found.default_value is Undefined) or self.chance(25)
            }
        assert isinstance(kind, GraphQLScalarType)
        return self.scalar(path, name, kind.name)

    def scalar(self, path: str, name: str, kind: str) -> Any:
        wrong = self.mistakes > 0 and self.chance(20)
        self.mistakes -= wrong
        match kind:
            case "Int":
                return self.one(ODD_FIRST if wrong else [2, 1, 3, 5, 25, 100])
            case "Boolean":
                return self.one([True, False])
            case "ID":
                return self.one(ODD_TEXT if wrong else self.ids(path, name))
            case "String" if name in {"after", "before"}:
                known = self.samples.cursors.get(path)
                return self.one(ODD_TEXT) if wrong else self.one(known) if known else None
            case _:
                words = self.samples.words
                return self.one(words.get(f"{path}.{name}") or words.get(name) or words.get(kind) or words[""])

    def ids(self, path: str, name: str) -> Sequence[str]:
        """Those of the type that the argument names, or that the field answers with; of any type for a node."""
        ids, (owner, _, of) = self.samples.ids, path.partition(".")
        stem = re.sub("Ids?$", "", name)
        kind = self.schema.get_type(owner)
        answer = kind.fields[of].type if isinstance(kind, GraphQLObjectType) else None
        named = get_named_type(answer) if answer and name in {"id", "ids"} else None
        if isinstance(named, GraphQLInterfaceType):
            possible = [found.name for found in self.schema.get_possible_types(named) if found.name in ids]
            possible = [name for name in possible if name in self.declared_fields] or possible
            return ids[self.one(sorted(possible))]
        wanted = named.name if named else stem[:1].upper() + stem[1:]
        return ids.get(wanted) or self.one([known for known in ids.values() if known])


EITHER = {"Query.location"}
APART = {"orderBy": "after", "last": "first", "before": "after"}
"""Arguments that do not go with another: a cursor here is of the default order, a page has one beginning."""


OF_THE_MOMENT = frozenset({"availableSlots", "simulateTouches"})
"""In Python both ways, and another answer a moment later: nothing to compare."""


def write(
    choices: Choices,
    schema: GraphQLSchema,
    samples: Samples,
    planned: Collection[str],
    declared: Mapping[str, Collection[str]],
) -> Operation:
    """An operation of one to three root fields; what is not planned, by root and by type, is asked for seldom."""
    assert schema.query_type is not None
    others = sorted(schema.query_type.fields.keys() - planned - OF_THE_MOMENT)
    roots = choices.some(sorted(planned), 1, 2)
    if others and choices.number(0, 9) == 9:
        roots.append(others[choices.number(0, len(others) - 1)])
        roots = roots if choices.number(0, 19) < 19 else roots[-1:]
    mistakes = int(choices.number(0, 49) == 31)  # not an end of the range: hypothesis prefers those
    writer = _Writer(choices, schema, samples, declared, mistakes=mistakes)
    return writer.operation(roots)
