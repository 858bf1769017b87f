"""Whether the migrations are one line: two branches that each added one merge without a conflict, and alembic then refuses."""

from __future__ import annotations

import ast
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from tools.source_rules import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["VERSIONS", "migration_findings"]

VERSIONS = "migrations/versions"


class _Migration(NamedTuple):
    path: str
    revision: object
    down_revision: object


def migration_findings(root: Path) -> Iterator[Finding]:
    """Revisions that share a number, follow the same one or one that is not there, or are not what their file is called."""
    migrations = [_read(root, path) for path in sorted((root / VERSIONS).glob("*.py"))]
    known = {one.revision for one in migrations} | {None}
    for one in migrations:
        name = one.path.removeprefix(f"{VERSIONS}/")
        if not name.startswith(f"{one.revision}_"):
            yield _finding(one, f"is revision {one.revision!r}: call the file {one.revision}_<what it does>.py")
        if one.down_revision not in known:
            yield _finding(one, f"follows {one.down_revision!r}, which is no revision here")
    yield from _shared(migrations, "revision", "is revision {} too: take the next free number")
    yield from _shared(
        migrations, "down_revision", "follows {} too: let it follow the newest one, under a number of its own"
    )


def _shared(migrations: Sequence[_Migration], name: str, message: str) -> Iterator[Finding]:
    by_value: dict[object, list[_Migration]] = defaultdict(list)
    for one in migrations:
        by_value[getattr(one, name)].append(one)
    for value, (first, *others) in by_value.items():
        for other in others:
            yield _finding(other, f"{first.path} {message.format(repr(value))}")


def _finding(migration: _Migration, message: str) -> Finding:
    return Finding(migration.path, 1, "migrations", message)


def _read(root: Path, path: Path) -> _Migration:
    values = {
        target.id: node.value.value
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    return _Migration(path.relative_to(root).as_posix(), values.get("revision"), values.get("down_revision"))
