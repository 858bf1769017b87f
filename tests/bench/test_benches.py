"""What a benchmark makes of its measurements, and that one prints what others read."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from lead_orchestrator.bench.chat import Size, converse
from lead_orchestrator.bench.graphql_figures import figures, percentile, ratio, spread
from lead_orchestrator.bench.graphql_operations import normalised, operations
from lead_orchestrator.bench.graphql_peer import PeerUnavailableError, install_peer
from lead_orchestrator.bench.load import LoadProcess, Round, request_bytes
from lead_orchestrator.bench.stage import Stage, milliseconds
from lead_orchestrator.cli.measurements import BENCHES, BenchName
from lead_orchestrator.graphql.schema import make_schema
from tests.database import Cluster, TestDatabase
from tests.stack import open_stack

ID = "0198c2f0-0000-7000-8000-000000000001"


def test_every_bench_can_be_named() -> None:
    assert {*BENCHES, "all"} == {name.value for name in BenchName}


def test_a_bench_prints_one_json_object_as_its_last_line() -> None:
    program = [
        sys.executable,
        "-c",
        "from lead_orchestrator.cli import main; main()",
        "bench",
        "claim",
        "--quick",
        "--json",
    ]

    done = subprocess.run(program, capture_output=True, text=True, check=False, timeout=120)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["bench"] == "claim"


def test_percentiles_are_milliseconds() -> None:
    microseconds = [*range(1000, 101_000, 1000)]  # 1 to 100 ms

    assert percentile(microseconds, 50) == 50.5
    assert percentile(microseconds, 99) == pytest.approx(99.01)
    assert percentile([7000], 99) == 7
    assert percentile([], 99) == 0
    assert milliseconds([0.001, 0.003])["p50Ms"] == 2


def test_a_ratio_compares_neighbouring_rounds() -> None:
    # given a machine that halves its speed after the first round
    ours, theirs = [200.0, 100.0, 100.0], [100.0, 50.0, 50.0]

    # then the slowing down cancels out
    assert ratio(ours, theirs) == 2
    assert spread(theirs) == 1


def test_figures_name_each_peer() -> None:
    fast, slow = Round(seconds=1, microseconds=[1000] * 300), Round(seconds=1, failures=1, microseconds=[4000] * 100)

    found = figures({"ours": [fast, fast], "postgraphile": [slow, slow]}, "ours")

    assert found["vsPostgraphile"] == 3
    assert found["requestsPerSecond"] == {"ours": 300, "postgraphile": 100}
    assert found["p99Ms"] == {"ours": 1, "postgraphile": 4}
    assert found["failures"] == {"ours": 0, "postgraphile": 2}


def test_answers_are_equal_but_for_how_each_writes_them() -> None:
    ours = {
        "lead": {
            "id": f"lead_{ID}",
            "at": "2026-05-01T10:00:00+00:00",
            "name": "lead_x",
            "services": [{"id": f"svc_{ID}"}],
        }
    }
    theirs = {
        "lead": {
            "id": ID,
            "at": "2026-05-01T12:00:00.000000+02:00",
            "name": "lead_x",
            "services": {"nodes": [{"id": ID}]},
        }
    }

    assert normalised(ours) == normalised(theirs)
    assert normalised({"id": ID}) != normalised({"id": ID[:-1] + "2"})


def test_every_operation_is_one_of_our_schema() -> None:
    found = operations(make_schema(development=False)._schema)  # noqa: SLF001 - the library's own is what validates

    assert [one.name for one in found] == ["dashboard", "lead", "catalog", "flatLeads", "updateStatus"]
    assert [one.name for one in found if one.writes] == ["updateStatus"]


async def test_without_npm_the_peer_is_said_to_be_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(PeerUnavailableError, match="npm is not installed"):
        await install_peer(tmp_path / "packages")


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers each request with its own body."""
    with suppress(asyncio.IncompleteReadError):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            body = await reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]))
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
    writer.close()


async def test_the_load_counts_answers_and_errors() -> None:
    # given requests of which every second is answered with an error
    server = await asyncio.start_server(_echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    bodies = [{"data": {}}, {"errors": [{"message": "no"}]}]

    # when
    async with server, LoadProcess() as load:
        await load.keep("both", port, [request_bytes(port, "/", body, "token") for body in bodies])
        measured = await load.run("both", connections=2, seconds=0.2)

    # then
    count = len(measured.microseconds)
    assert count > 10
    assert abs(measured.failures - count / 2) <= 1
    assert measured.seconds >= 0.2


@pytest.mark.timeout(240)
async def test_answers_are_timed_on_the_customers_sockets(
    fresh_database: TestDatabase, cluster: Cluster, tmp_path: Path
) -> None:
    async with open_stack(fresh_database, cluster.redis_url, public_writes_per_minute=10_000) as stack:
        location_id = next(found for slug, found in stack.locations.items() if slug.endswith("los-angeles"))
        stage = Stage(stack.settings, stack.services, stack.sandbox, stack.tenant_id, location_id)

        found: dict[str, Any] = await converse(stage, Size(waves=2, at_once=2), tmp_path / "log")

    assert (found["answers"], found["answersWithoutDelta"]) == (8, 0)
    assert found["apiMemory"]["openConversations"] == 5
    assert found["apiMemory"]["megabytes"] > 20
    assert 0 < found["firstDelta"]["p50Ms"] < found["firstWords"]["p50Ms"] < found["wholeAnswer"]["p50Ms"]
