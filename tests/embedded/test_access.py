"""Who gets in, and what others on the machine can see."""

from __future__ import annotations

import stat
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
import redis.asyncio
import redis.exceptions

from lead_orchestrator.embedded import Embedded
from tests.embedded.running import read_pids

OTHERS = stat.S_IRWXO
GROUP_AND_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def password(url: str) -> str:
    found = urlsplit(url).password
    assert found is not None
    return found


async def test_the_superuser_gets_in_with_the_password(services: Embedded) -> None:
    connection = await asyncpg.connect(services.admin_url)
    try:
        assert await connection.fetchval("select current_user") == "postgres"
        assert await connection.fetchval("show server_version_num") >= "180000"
        assert await connection.fetchval("show server_encoding") == "UTF8"
        assert await connection.fetchval("show timezone") == "UTC"
    finally:
        await connection.close()


async def test_a_wrong_password_is_refused(services: Embedded) -> None:
    url = services.admin_url.replace(password(services.admin_url), "wrong")

    with pytest.raises(asyncpg.InvalidPasswordError) as refused:
        await asyncpg.connect(url)

    assert refused.value.sqlstate == "28P01"


async def test_every_way_in_asks_for_scram(services: Embedded) -> None:
    connection = await asyncpg.connect(services.admin_url)
    try:
        rules = await connection.fetch("select distinct auth_method, error from pg_hba_file_rules")
        verifiers = await connection.fetch("select rolpassword from pg_authid where rolcanlogin")
    finally:
        await connection.close()

    assert [(rule["auth_method"], rule["error"]) for rule in rules] == [("scram-sha-256", None)]
    assert all(row["rolpassword"].startswith("SCRAM-SHA-256$") for row in verifiers)


async def test_postgres_listens_on_the_loopback_address_and_has_no_socket(services: Embedded) -> None:
    connection = await asyncpg.connect(services.admin_url)
    try:
        assert await connection.fetchval("show listen_addresses") == "127.0.0.1"
        assert await connection.fetchval("show unix_socket_directories") == ""
    finally:
        await connection.close()


async def test_valkey_answers_only_with_the_password(services: Embedded) -> None:
    async with redis.asyncio.Redis.from_url(services.redis_url) as client:
        assert await client.ping()
        assert await client.config_get("bind") == {"bind": "127.0.0.1"}
        assert await client.config_get("save") == {"save": ""}
        assert await client.config_get("appendonly") == {"appendonly": "no"}

    stranger = services.redis_url.replace(f":{password(services.redis_url)}@", "")
    async with redis.asyncio.Redis.from_url(stranger) as client:
        with pytest.raises(redis.exceptions.AuthenticationError):
            await client.ping()


def test_the_servers_do_not_run_as_root(services: Embedded, shared_dir: Path) -> None:
    assert services.owned
    pids = read_pids(shared_dir)
    for pid in (pids.postgres, pids.valkey):
        uid = Path(f"/proc/{pid}").stat().st_uid
        assert uid == (shared_dir / "postgres" / "data").stat().st_uid
        assert uid != 0


def test_only_the_servers_can_read_the_private_folder(services: Embedded, shared_dir: Path) -> None:
    assert services.owned
    private = shared_dir / "postgres"
    assert mode(private) & (OTHERS | stat.S_IWGRP) == 0
    assert mode(private / "data") & GROUP_AND_OTHERS == 0
    assert mode(private / "valkey") & GROUP_AND_OTHERS == 0
    for secret in (private / "passwords.json", private / "valkey" / "valkey.conf", shared_dir / "services.json"):
        assert mode(secret) == 0o600
    assert mode(shared_dir / "log") & GROUP_AND_OTHERS == 0
    assert not list(private.glob("*.unfinished"))


def test_no_password_stands_in_the_arguments_or_the_logs(services: Embedded, shared_dir: Path) -> None:
    pids = read_pids(shared_dir)
    arguments = "".join(Path(f"/proc/{pid}/cmdline").read_text() for pid in pids.alive())
    logs = "".join(path.read_text() for path in services.log_dir.iterdir())

    for secret in (password(services.admin_url), password(services.redis_url)):
        assert secret not in arguments
        assert secret not in logs


async def test_what_customers_wrote_does_not_reach_the_log(services: Embedded) -> None:
    connection = await asyncpg.connect(services.admin_url)
    try:
        await connection.execute("create table people (mail text primary key)")
        for value in ("jane@example.com", "jane@example.com"):
            try:
                await connection.execute("insert into people values ($1)", value)
            except asyncpg.UniqueViolationError as error:
                assert "jane@example.com" in str(error.detail)  # noqa: PT017  # the second insert is meant to fail
        with pytest.raises(asyncpg.InvalidTextRepresentationError):
            await connection.execute("select 'from-jane'::uuid")
        with pytest.raises(asyncpg.RaiseError):
            await connection.execute("do $$ begin raise 'jane is here'; end $$")
    finally:
        await connection.close()

    assert "jane" not in (services.log_dir / "postgres.log").read_text()


async def test_throw_away_services_do_not_wait_for_the_disk(services: Embedded) -> None:
    connection = await asyncpg.connect(services.admin_url)
    try:
        shown = [await connection.fetchval(f"show {name}") for name in ("fsync", "synchronous_commit")]
        assert shown == ["off", "off"]
        assert await connection.fetchval("show full_page_writes") == "off"
        assert await connection.fetchval("show max_connections") == "200"
    finally:
        await connection.close()


async def test_letters_outside_ascii_are_letters(services: Embedded) -> None:
    connection = await asyncpg.connect(services.admin_url)
    try:
        await connection.execute("create extension if not exists pg_trgm")
        assert await connection.fetchval("select upper('josé')") == "JOSÉ"
        assert await connection.fetchval("select array_length(show_trgm('ñ'), 1)") == 2
        for name in ("btree_gist", "btree_gin"):
            await connection.execute(f"create extension {name}")
    finally:
        await connection.close()
