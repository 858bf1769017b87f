"""Checks that ruff has no rule for: over the source (`source_rules`), every committed file, the migrations and the schema."""

from __future__ import annotations

import argparse
import difflib
import os
import re
import subprocess
import sys
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from tools.migrations import migration_findings
from tools.roles import PAGE, roles_page
from tools.schema_changes import SCHEMA, change_findings, release
from tools.source_rules import Finding, findings_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = "platform/graphql/trusted_documents.json"
PRIVATE = {".git", ".venv", ".local", "node_modules", "__pycache__", "dist", "htmlcov"}

# Written in parts, or this file would find itself.
INDEX_HOSTS = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("yarnpkg", "com"),
        ("npmmirror", "com"),
        ("conda", "anaconda", "org"),
    )
]
OUTSIDE = ["../" + "shared"]
FORBIDDEN = re.compile("|".join(map(re.escape, [*INDEX_HOSTS, *OUTSIDE])), re.IGNORECASE)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="tools.lints", description=__doc__)
    parser.add_argument("--write-schema", action="store_true", help="write schema.graphql instead of checking anything")
    parser.add_argument("--write-docs", action="store_true", help="write the pages that are made of the code")
    parser.add_argument("--release-schema", action="store_true", help="take the committed schema for the released one")
    parser.add_argument("--no-schema", action="store_true", help="leave out the comparison of schema.graphql")
    options = parser.parse_args(arguments)
    if options.write_schema:
        (ROOT / SCHEMA).write_text(exported_schema())
        return 0
    if options.write_docs:
        (ROOT / PAGE).write_text(roles_page())
        return 0
    if options.release_schema:
        release(ROOT)
        return 0
    findings = [*source_findings(ROOT), *text_findings(ROOT), *migration_findings(ROOT)]
    if not options.no_schema:
        findings += [*schema_findings(ROOT), *change_findings(ROOT), *document_findings(), *page_findings(ROOT)]
    for finding in findings:
        print(finding)
    print(f"lints: {len(findings)} findings" if findings else "lints: nothing found")
    return 1 if findings else 0


def source_findings(root: Path) -> Iterator[Finding]:
    """What the source rules find in every committed Python file."""
    for path in committed_files(root):
        if path.suffix == ".py":
            yield from findings_in(str(path), (root / path).read_text())


def text_findings(root: Path) -> Iterator[Finding]:
    """Committed text that names a package index's host or a file outside of the project."""
    for path in committed_files(root):
        for number, line in enumerate(_lines(root / path), 1):
            if match := FORBIDDEN.search(line):
                yield Finding(str(path), number, "outside-address", f"{match[0]!r} stays out of the repository")


def schema_findings(root: Path) -> list[Finding]:
    """The differences between the committed schema and the code's."""
    committed = (root / SCHEMA).read_text() if (root / SCHEMA).exists() else ""
    try:
        return compare_schema(committed, exported_schema())
    except (OSError, subprocess.CalledProcessError) as error:
        output = getattr(error, "stderr", "") or str(error)
        return [Finding(SCHEMA, 1, "schema", f"`lead-orchestrator schema export` failed: {output.strip()[-400:]}")]


def document_findings() -> list[Finding]:
    """Whether the list of trusted documents is what their files say."""
    command = [str(Path(sys.executable).parent / "lead-orchestrator"), "schema", "documents", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603 - our own command
    return [Finding(DOCUMENTS, 1, "documents", done.stderr.strip()[-400:])] if done.returncode else []


def page_findings(root: Path) -> list[Finding]:
    """Whether the page of who may do what is what the table says."""
    committed = (root / PAGE).read_text() if (root / PAGE).exists() else ""
    return (
        [] if committed == roles_page() else [Finding(PAGE, 1, "roles", "is not what the table says; run `make docs`")]
    )


def compare_schema(committed: str, exported: str) -> list[Finding]:
    """One finding with the differences, or none."""
    diff = difflib.unified_diff(committed.splitlines(), exported.splitlines(), "committed", "exported", lineterm="")
    if lines := list(diff):
        return [Finding(SCHEMA, 1, "schema", "\n".join(["is not what the code says; run `make schema`", *lines[:40]]))]
    return []


def exported_schema() -> str:
    """The SDL as the code has it."""
    command = [str(Path(sys.executable).parent / "lead-orchestrator"), "schema", "export"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603 - our own command
    return done.stdout


def committed_files(root: Path) -> list[PurePosixPath]:
    """What git tracks or would add; without git, all but what is made by builds. Links are not followed."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)  # noqa: S603 - fixed command
    if listed.returncode == 0 and (root / ".git").exists():
        names: Iterable[str] = listed.stdout.split("\0")
    else:
        names = _walk(root)
    paths = sorted({PurePosixPath(name) for name in names if name})
    return [path for path in paths if (root / path).is_file() and not (root / path).is_symlink()]


def _walk(root: Path) -> Iterator[str]:
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name not in PRIVATE and not name.endswith(("_cache", ".egg-info"))]
        yield from ((Path(folder) / name).relative_to(root).as_posix() for name in files)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except UnicodeDecodeError:
        return []


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
