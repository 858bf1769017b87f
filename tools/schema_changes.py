"""What would break those who use the API: the schema compared with the last released one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphql import GraphQLError, build_schema, find_breaking_changes

from tools.source_rules import Finding

if TYPE_CHECKING:
    from pathlib import Path

RELEASED = "docs/schema-released.graphql"
SCHEMA = "schema.graphql"


def breaking_changes(released: str, current: str) -> list[str]:
    """What of `released` (SDL) `current` takes away or makes stricter, in words."""
    return [change.description for change in find_breaking_changes(build_schema(released), build_schema(current))]


def change_findings(root: Path) -> list[Finding]:
    """The breaking changes of the committed schema."""
    if not (root / RELEASED).exists():
        return [Finding(RELEASED, 1, "schema-change", "is missing; `python -m tools.lints --release-schema` makes it")]
    try:
        found = breaking_changes((root / RELEASED).read_text(), (root / SCHEMA).read_text())
    except (OSError, GraphQLError, TypeError) as error:
        return [Finding(SCHEMA, 1, "schema-change", f"cannot be compared with {RELEASED}: {error}")]
    return [Finding(SCHEMA, 1, "schema-change", f"{words} Keep the old one beside the new one.") for words in found]


def release(root: Path) -> None:
    """From now on the committed schema is the released one."""
    (root / RELEASED).write_text((root / SCHEMA).read_text())
