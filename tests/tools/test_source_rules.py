from __future__ import annotations

from textwrap import dedent

import pytest

from tools.source_rules import findings_in

SERVICE = "platform/leads/service.py"
TEST = "tests/leads/test_service.py"


def rules_broken(path: str, source: str) -> list[str]:
    return [finding.rule for finding in findings_in(path, dedent(source))]


@pytest.mark.parametrize(
    "source",
    [
        "from sqlalchemy import select\nselect(1)",
        "from sqlalchemy import insert as into\ninto(table)",
        "import sqlalchemy as sa\nsa.update(table)",
        "from sqlalchemy.dialects import postgresql\npostgresql.insert(table)",
        "from sqlalchemy import sql\nsql.delete(table)",
        "from sqlalchemy import text\ntext(statement)",
        "query = 'SELECT id FROM leads'",
        "query = f'SELECT id FROM {table} WHERE id = $1'",
        "query = '''\n  select id\n  from leads\n'''",
        "await connection.execute('select pg_advisory_xact_lock(1)')",
        "query = 'with x as (INSERT INTO leads VALUES (1)) SELECT 1'",
        "query = 'update leads set status = $1'",
        "query = 'DELETE FROM leads'",
    ],
)
def test_sql_in_a_service_is_found(source: str) -> None:
    assert "sql-outside-repository" in rules_broken(SERVICE, source)


@pytest.mark.parametrize(
    "path",
    [
        "platform/leads/repository.py",
        "platform/leads/repository/search.py",
        "platform/graphql/planner/compile.py",
        "platform/tenancy/policies.py",
        "tests/leads/test_repository.py",
    ],
)
def test_sql_where_it_belongs_is_fine(path: str) -> None:
    assert rules_broken(path, "from sqlalchemy import select\nselect(1)\nquery = 'SELECT id FROM leads'") == []


@pytest.mark.parametrize(
    "source",
    [
        '"""Select a lead from the list and delete from it what expired."""',
        "message = 'Choose a bay: select one from the list'",
        "hasher.update(data); items.insert(0, item); await redis.delete(key)",
        "from lead_orchestrator.chat.choice import select\nselect(options)",
    ],
)
def test_what_only_sounds_like_sql_is_fine(source: str) -> None:
    assert rules_broken(SERVICE, source) == []


@pytest.mark.parametrize(
    "source",
    [
        "from datetime import UTC, datetime\ndatetime.now(UTC)",
        "import datetime as dt\ndt.datetime.utcnow()",
        "from datetime import date\ndate.today()",
        "import time\ntime.time()",
        "from time import time\ntime()",
        "from datetime import datetime\nfield(default_factory=datetime.now)",
    ],
)
def test_reading_the_machines_clock_in_a_feature_is_found(source: str) -> None:
    assert rules_broken(SERVICE, source) == ["clock-not-passed"]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("platform/clock.py", "from datetime import UTC, datetime\ndatetime.now(UTC)"),
        ("platform/sandbox/world.py", "import time\ntime.time()"),
        (SERVICE, "import time\ntime.monotonic()"),
        (SERVICE, "clock.now()"),
    ],
)
def test_a_clock_of_ones_own_or_a_stopwatch_is_fine(path: str, source: str) -> None:
    assert rules_broken(path, source) == []


@pytest.mark.parametrize(
    "source",
    [
        "from unittest import mock\nmock.patch('x')",
        "from unittest.mock import patch\nwith patch('x'): pass",
        "import unittest.mock\nunittest.mock.patch.object(a, 'b')",
        "def test_x(monkeypatch): monkeypatch.setattr(a, 'b', 1)",
        "def test_x(mocker): mocker.patch('x')",
    ],
)
def test_patching_is_found(source: str) -> None:
    assert set(rules_broken(TEST, source)) == {"patching"}


def test_setting_an_environment_variable_is_not_patching() -> None:
    assert rules_broken(TEST, "def test_x(monkeypatch): monkeypatch.setenv('PORT', '0')") == []


@pytest.mark.parametrize(
    "source",
    [
        "import time\ndef test_x(): time.sleep(1)",
        "import asyncio\nasync def test_x(): await asyncio.sleep(0.1)",
        "from asyncio import sleep\nasync def test_x(): await sleep(0.1)",
        "import asyncio\nasync def test_x():\n  while True: await asyncio.sleep(0.1)",
    ],
)
def test_sleeping_in_a_test_is_found(source: str) -> None:
    assert rules_broken(TEST, source) == ["sleeping"]


@pytest.mark.parametrize(
    "source",
    [
        "import asyncio\nasync def test_x(): await asyncio.sleep(0)",
        "import asyncio\nasync def wait_for(condition):\n  while not condition(): await asyncio.sleep(0.01)",
        "import asyncio\nasync def test_x():\n  while not messages: await asyncio.sleep(0.01)",
        "import asyncio\nasync def test_x():\n  async def trickle(): await asyncio.sleep(0.02)",
    ],
)
def test_yielding_waiting_and_slow_fakes_are_fine(source: str) -> None:
    assert rules_broken(TEST, source) == []


@pytest.mark.parametrize("marker", ["skip", "skipif(True)", "xfail"])
def test_a_marker_that_leaves_a_test_out_is_found(marker: str) -> None:
    assert rules_broken(TEST, f"import pytest\n@pytest.mark.{marker}\ndef test_x(): pass") == ["skipping"]


@pytest.mark.parametrize("call", ["pytest.skip('no')", "pytest.xfail('no')", "pytest.importorskip('x')"])
def test_a_call_that_leaves_a_test_out_is_found(call: str) -> None:
    assert rules_broken(TEST, f"import pytest\ndef test_x(): {call}") == ["skipping"]


@pytest.mark.parametrize(
    "hint", ["noqa", "noqa: S101", "noqa: S101, S105", "type: ignore", "type: ignore[arg-type]", "pyright: ignore"]
)
def test_an_ignore_without_a_reason_is_found(hint: str) -> None:
    assert rules_broken(SERVICE, f"x = 1  # {hint}") == ["ignore-without-reason"]


@pytest.mark.parametrize(
    "hint", ["noqa: S101 - why", "noqa: S101  # why", "type: ignore[arg-type]  # why", "pyright: ignore[x]  # why"]
)
def test_an_ignore_with_a_reason_is_fine(hint: str) -> None:
    assert rules_broken(SERVICE, f"x = 1  # {hint}") == []
