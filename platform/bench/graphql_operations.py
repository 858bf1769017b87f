"""The operations that are compared: as we are asked, as PostGraphile is asked, and the statement written by hand.

Their texts are the files of `asked/`. The three give the same answer once `normalised`: our ids carry their type in front,
each has its own way to write a moment, and PostGraphile has its lists inside an object.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from graphql import GraphQLSchema, parse, validate

__all__ = ["Operation", "normalised", "operation", "operations"]

_FOLDER = Path(__file__).parent / "asked"
_TYPED_ID = re.compile(r"^(?:lead|loc|msg|log|appt|svc)_(?=[0-9a-f]{8}-)")
_MOMENT = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")


@dataclass(frozen=True)
class Operation:
    """`statement` takes the tenant, its locations and the subject as $1 to $3, then the variables named in `values`.

    `file` tells which of the variants is asked. `writes`: every request changes the status of another lead.
    """

    name: str
    file: str
    ours: str
    peer: str
    statement: str
    values: tuple[str, ...]
    writes: bool


# What each is called, what its statement is given, and the files to choose from: the first that the schema knows.
_NAMES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "dashboard": ((), ("dashboard", "dashboardMessages")),
    "lead": (("id",), ("lead",)),
    "catalog": (("location",), ("catalog", "catalogLocations")),
    "flatLeads": ((), ("flatLeads",)),
    "updateStatus": (("id", "status"), ("updateStatus",)),
}


def operations(schema: GraphQLSchema) -> list[Operation]:
    """All of them, as far as this schema goes."""
    return [operation(name, schema) for name in _NAMES]


def operation(name: str, schema: GraphQLSchema) -> Operation:
    """Raises LookupError: the schema answers none of its variants."""
    values, files = _NAMES[name]
    for file in files:
        ours = _text(f"{file}.ours.graphql")
        if not validate(schema, parse(ours)):
            return _made(name, file, values)
    raise LookupError(f"the schema has no answer to {name}")


def _made(name: str, file: str, values: tuple[str, ...]) -> Operation:
    ours, peer = _text(f"{file}.ours.graphql"), _text(f"{file}.peer.graphql")
    statement = _text(f"{file}.floor.sql")
    used = tuple(value for value in values if f"${values.index(value) + 4}" in statement)
    return Operation(name, file, ours, peer, statement, used, writes=ours.startswith("mutation"))


def _text(name: str) -> str:
    return (_FOLDER / name).read_text()


def normalised(value: object) -> object:
    """An answer without what may differ between the three ways to ask."""
    if isinstance(value, Mapping):
        if list(value) == ["nodes"]:
            return normalised(value["nodes"])
        return {key: normalised(part) for key, part in value.items()}
    if isinstance(value, list):
        return [normalised(part) for part in value]
    if isinstance(value, str) and _MOMENT.match(value):
        return datetime.fromisoformat(value).astimezone(UTC).isoformat()
    return _TYPED_ID.sub("", value) if isinstance(value, str) else value
