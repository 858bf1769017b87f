"""Which minor releases of Postgres have a known hole in row level security."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["HOLES", "Hole", "open_holes"]


@dataclass(frozen=True)
class Hole:
    """`fixed` says for each major version affected the first minor release without the hole."""

    cve: str
    what: str
    fixed: dict[int, int]


# Sources: postgresql.org/support/security; for the newest one also suse.com/security/cve/CVE-2026-120154.
HOLES = (
    Hole(
        "CVE-2026-120154",
        "INSERT … ON CONFLICT DO UPDATE reads every row",
        {15: 20, 16: 16, 17: 12, 18: 7},
    ),
    Hole("CVE-2026-16237", "INSERT … ON CONFLICT writes what it may not", {15: 19, 16: 15, 17: 11, 18: 6}),
    Hole("CVE-2025-8713", "planner statistics show values of hidden rows", {15: 14, 16: 10, 17: 6}),
    Hole("CVE-2024-10976", "a reused plan keeps another role's policies", {15: 9, 16: 5, 17: 1}),
    Hole("CVE-2023-39418", "MERGE skips the policies of UPDATE", {15: 4}),
    Hole("CVE-2023-2455", "inlined functions keep another role's policies", {15: 3}),
)

_OLDEST_MAINTAINED = 15


def open_holes(version: int) -> list[str]:
    """What is open in this server; `version` as in server_version_num, 180006 for 18.6."""
    major, minor = divmod(version, 10_000)
    newest = max(major for hole in HOLES for major in hole.fixed)
    if major < _OLDEST_MAINTAINED:
        return [f"PostgreSQL {major} gets no more fixes: move to {newest}"]
    if major > newest:
        return [
            f"PostgreSQL {major} is newer than the table of known holes, which ends at {newest}: bring it up to date"
        ]
    return [
        f"{hole.cve}: {hole.what}; fixed in {major}.{hole.fixed[major]}"
        for hole in HOLES
        if minor < hole.fixed.get(major, 0)
    ]
