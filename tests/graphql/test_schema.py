from __future__ import annotations

from pathlib import Path

from graphql import build_schema, parse

from lead_orchestrator.graphql.schema import schema_sdl

ROOT = Path(__file__).resolve().parents[2]


def test_the_committed_schema_is_the_code_s() -> None:
    assert (ROOT / "schema.graphql").read_text() == schema_sdl()


def test_the_schema_reads_as_a_schema() -> None:
    assert build_schema(schema_sdl()).query_type is not None
    assert parse(schema_sdl()).definitions
