"""The lint of the migrations: they are one line, and each of these faults is found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tools.lints import ROOT
from tools.migrations import VERSIONS, migration_findings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def line(tmp_path: Path) -> Path:
    """Two migrations, one after the other."""
    (tmp_path / VERSIONS).mkdir(parents=True)
    add(tmp_path, "0001_spine", "0001", None)
    add(tmp_path, "0002_catalog", "0002", "0001")
    return tmp_path


def add(root: Path, name: str, revision: str, down_revision: str | None) -> None:
    text = f"revision = {revision!r}\ndown_revision = {down_revision!r}\n\nTABLE = 'CREATE TABLE x'\n"
    (root / VERSIONS / f"{name}.py").write_text(text)


def found(root: Path) -> list[tuple[str, str]]:
    return [(one.path.removeprefix(f"{VERSIONS}/"), one.message) for one in migration_findings(root)]


def test_ours_are_one_line() -> None:
    assert len(list((ROOT / VERSIONS).glob("*.py"))) > 20
    assert found(ROOT) == []


def test_one_after_the_other_is_fine(line: Path) -> None:
    add(line, "0003_surveys", "0003", "0002")

    assert found(line) == []


def test_two_of_one_number_are_named(line: Path) -> None:
    add(line, "0002_surveys", "0002", "0001")

    [(path, number), (same, base)] = found(line)

    assert (path, number) == (
        "0002_surveys.py",
        "migrations/versions/0002_catalog.py is revision '0002' too: take the next free number",
    )
    assert (same, "follows '0001' too" in base) == ("0002_surveys.py", True)


def test_two_that_follow_the_same_are_two_heads(line: Path) -> None:
    add(line, "0003_surveys", "0003", "0001")

    [(path, message)] = found(line)

    assert path == "0003_surveys.py"
    assert message.startswith("migrations/versions/0002_catalog.py follows '0001' too")


def test_two_beginnings_are_two_heads(line: Path) -> None:
    add(line, "0003_surveys", "0003", None)

    assert [path for path, _ in found(line)] == ["0003_surveys.py"]


def test_one_that_follows_nothing_that_is_there_is_named(line: Path) -> None:
    add(line, "0004_surveys", "0004", "0003")

    assert found(line) == [("0004_surveys.py", "follows '0003', which is no revision here")]


def test_a_renumbered_migration_needs_its_files_name(line: Path) -> None:
    add(line, "0002_surveys", "0003", "0002")

    assert found(line) == [("0002_surveys.py", "is revision '0003': call the file 0003_<what it does>.py")]
