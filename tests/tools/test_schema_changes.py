from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tools.schema_changes import RELEASED, SCHEMA, breaking_changes, change_findings, release

if TYPE_CHECKING:
    from pathlib import Path

OLD = "type Query { lead(id: ID!, first: Int): Lead leads: [Lead!]! } type Lead { id: ID! name: String! status: S! } enum S { NEW WON }"


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("name: String!", "", "Lead.name was removed"),
        ("name: String!", "name: String", "Lead.name changed type"),
        (", first: Int", ", first: Int!", "changed type"),
        ("first: Int", "first: Int, at: Int!", "at"),
        ("NEW WON", "NEW", "WON was removed"),
        ("leads: [Lead!]!", "leads: Lead", "Query.leads changed type"),
    ],
)
def test_what_breaks_a_caller_is_found(before: str, after: str, words: str) -> None:
    [found] = breaking_changes(OLD, OLD.replace(before, after))

    assert words in found


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("name: String!", "name: String! phone: String"),
        ("NEW WON", "NEW WON LOST"),
        ("first: Int", "first: Int, at: Int"),
    ],
)
def test_what_is_added_breaks_nobody(before: str, after: str) -> None:
    assert breaking_changes(OLD, OLD.replace(before, after)) == []


def test_the_committed_schema_is_compared_with_the_released_one(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / SCHEMA).write_text(OLD)
    missing = change_findings(tmp_path)
    release(tmp_path)
    same = change_findings(tmp_path)
    (tmp_path / SCHEMA).write_text(OLD.replace("NEW WON", "WON"))

    [broken] = change_findings(tmp_path)

    assert [finding.path for finding in missing] == [RELEASED]
    assert same == []
    assert (broken.path, broken.rule) == (SCHEMA, "schema-change")


def test_a_schema_that_cannot_be_read_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / SCHEMA).write_text(OLD)
    release(tmp_path)
    (tmp_path / SCHEMA).write_text("type Query {")

    assert "cannot be compared" in change_findings(tmp_path)[0].message
