"""However the caller ends, nothing of it is left."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import asyncpg
import pytest
import redis.asyncio

from lead_orchestrator.embedded import start_embedded
from lead_orchestrator.embedded.child import end_leftover
from tests.embedded.running import LIMIT_SECONDS, Caller, is_alive, read_pids, run_caller, sleeping, wait_for


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_nothing_is_left_when_the_caller_is_ended(data_dir: Path, number: signal.Signals) -> None:
    caller = Caller(data_dir)
    assert len(caller.pids.alive()) == 3

    caller.end_by(number)

    assert caller.leaves_nothing_running()
    assert not caller.private_folder.exists()
    assert not data_dir.exists()


def test_nothing_is_left_when_the_caller_is_killed_while_it_starts(data_dir: Path) -> None:
    process = run_caller(data_dir)
    assert wait_for(lambda: any((data_dir / "postgres").glob("data*")))
    private_folder = (data_dir / "postgres").resolve()

    process.kill()
    process.communicate(timeout=LIMIT_SECONDS)

    assert wait_for(lambda: not data_dir.exists())
    assert not private_folder.exists()


def test_nothing_is_left_after_ctrl_c(data_dir: Path) -> None:
    caller = Caller(data_dir)
    groups = {os.getpgid(pid) for pid in caller.pids.alive()}
    assert len(groups) == 3
    assert os.getpgid(caller.process.pid) not in groups  # so the terminal tells the caller only

    caller.end_by(signal.SIGINT, group=True)

    assert not caller.pids.alive()  # the context manager has waited for them
    assert caller.leaves_nothing_running()
    assert not data_dir.exists()


def test_nothing_is_left_when_the_guardian_is_killed(data_dir: Path) -> None:
    with start_embedded(data_dir, durable=False, ephemeral=True):
        pids = read_pids(data_dir)

        os.kill(pids.guardian, signal.SIGKILL)

        assert wait_for(lambda: not is_alive(pids.postgres) and not is_alive(pids.valkey))


def test_a_caller_that_forgets_to_stop_leaves_nothing(data_dir: Path) -> None:
    caller = Caller(data_dir, ephemeral=False)

    caller.end_by(signal.SIGTERM)

    assert caller.leaves_nothing_running()
    assert not (data_dir / "services.json").exists()
    assert not (data_dir / "postgres" / "data" / "postmaster.pid").exists()  # an orderly shutdown


def test_folders_of_killed_runs_go_at_the_next_start(data_dir: Path, tmp_path: Path) -> None:
    caller = Caller(data_dir)
    os.kill(caller.pids.guardian, signal.SIGKILL)
    caller.end_by(signal.SIGKILL)
    assert caller.leaves_nothing_running()

    with start_embedded(tmp_path / "next", durable=False, ephemeral=True):
        assert not caller.private_folder.exists()
        assert not data_dir.exists()


def test_stopping_removes_what_was_made_and_spares_the_callers_files(data_dir: Path) -> None:
    data_dir.mkdir()
    (data_dir / "notes.txt").write_text("mine")

    services = start_embedded(data_dir, durable=False, ephemeral=True)
    private_folder = (data_dir / "postgres").resolve()
    services.stop()
    services.stop()

    assert [path.name for path in data_dir.iterdir()] == ["notes.txt"]
    assert not private_folder.exists()


def test_a_server_left_behind_is_ended_and_a_stranger_with_its_pid_is_spared(tmp_path: Path) -> None:
    pid_file = tmp_path / "server.pid"
    with sleeping(tmp_path) as server, sleeping(Path("/")) as stranger:
        pid_file.write_text(f"{server.pid}\n")
        end_leftover(pid_file, tmp_path)
        pid_file.write_text(f"{stranger.pid}\n")
        end_leftover(pid_file, tmp_path)

        assert server.wait(1) == -signal.SIGINT
        with pytest.raises(subprocess.TimeoutExpired):
            stranger.wait(0.2)
        assert not pid_file.exists()


async def test_a_server_that_dies_is_started_again_where_it_was(data_dir: Path) -> None:
    with start_embedded(data_dir, durable=False, ephemeral=True) as services:
        before = read_pids(data_dir)
        os.kill(before.postgres, signal.SIGKILL)
        os.kill(before.valkey, signal.SIGKILL)

        assert wait_for(lambda: _both_are_new(data_dir, before.postgres, before.valkey))

        connection = await asyncpg.connect(services.admin_url)
        await connection.close()
        async with redis.asyncio.Redis.from_url(services.redis_url) as client:
            assert await client.ping()


def _both_are_new(data_dir: Path, postgres: int, valkey: int) -> bool:
    try:
        pids = read_pids(data_dir)
    except (FileNotFoundError, ValueError, IndexError):
        return False
    ready = (data_dir / "postgres" / "data" / "postmaster.pid").read_text().rstrip().endswith("ready")
    return ready and pids.postgres != postgres and pids.valkey != valkey
