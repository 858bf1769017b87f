from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tools.lints import INDEX_HOSTS, OUTSIDE, committed_files, compare_schema, source_findings, text_findings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "platform").mkdir()
    (tmp_path / "platform" / "clean.py").write_text("x = 1\n")
    (tmp_path / "lead_orchestrator").symlink_to("platform")
    return tmp_path


@pytest.mark.parametrize("address", [*INDEX_HOSTS, *OUTSIDE])
def test_an_address_outside_of_the_project_is_found_with_its_line(project: Path, address: str) -> None:
    (project / "notes.md").write_text(f"fine\nsee https://{address}/simple\n")

    assert [(f.path, f.line, f.rule) for f in text_findings(project)] == [("notes.md", 2, "outside-address")]


def test_a_binary_file_is_no_text(project: Path) -> None:
    (project / "logo.png").write_bytes(b"\x89PNG\xff" + INDEX_HOSTS[0].encode())

    assert list(text_findings(project)) == []


def test_a_linked_file_is_reported_once(project: Path) -> None:
    (project / "platform" / "service.py").write_text("import time\ntime.time()\n")

    assert [f.path for f in source_findings(project)] == ["platform/service.py"]


def test_builds_and_environments_are_not_committed_files(project: Path) -> None:
    for folder in (".venv", "node_modules", ".mypy_cache"):
        (project / folder).mkdir()
        (project / folder / "a.py").write_text("")

    assert [str(path) for path in committed_files(project)] == ["platform/clean.py"]


def test_what_git_ignores_is_not_looked_at(project: Path) -> None:
    subprocess.run(["git", "init", "-q"], cwd=project, check=True)
    (project / ".gitignore").write_text("secret.py\n")
    (project / "secret.py").write_text("")

    assert [str(path) for path in committed_files(project)] == [".gitignore", "platform/clean.py"]


def test_a_schema_that_differs_from_the_code_is_found_with_the_difference() -> None:
    committed, exported = "type Query {\n  lead: Lead\n}\n", "type Query {\n  lead: Lead!\n}\n"

    [finding] = compare_schema(committed, exported)

    assert "-  lead: Lead\n+  lead: Lead!" in finding.message


def test_the_same_schema_is_fine() -> None:
    assert compare_schema("type Query\n", "type Query\n") == []
