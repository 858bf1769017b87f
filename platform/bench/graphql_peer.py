"""PostGraphile 5 as the peer of the GraphQL benchmark: from npm at bench time, with the Node it asks for, kept in `.local`."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from lead_orchestrator.bench.programs import free_port, serving
from lead_orchestrator.errors import AppError
from lead_orchestrator.local import LOCAL
from lead_orchestrator.services import AUDIENCE, required, token_issuer
from lead_orchestrator.settings import Settings

__all__ = ["PEER_VERSION", "PeerUnavailableError", "install_peer", "peer"]

PEER_VERSION = "5.1.5"
_PACKAGES = {"postgraphile": PEER_VERSION, "jose": "6.2.17", "node": "22.23.3"}
_FOLDER = (LOCAL / "bench-npm").absolute()
_PROGRAM = Path(__file__).parent / "peer" / "postgraphile.mjs"
_PATIENCE = 300.0


class PeerUnavailableError(AppError):
    """PostGraphile cannot be had here; the benchmark goes on without it."""


async def install_peer(folder: Path | None = None) -> Path:
    """The absolute folder with PostGraphile and its Node, filled by npm the first time.

    Raises:
        PeerUnavailableError: there is no npm, or it could not fetch the packages.
    """
    folder = folder or _FOLDER
    wanted = {"private": True, "dependencies": _PACKAGES}
    manifest, done = folder / "package.json", folder / "installed.json"
    if done.exists() and json.loads(done.read_text()) == wanted:
        return folder
    npm = shutil.which("npm")
    if npm is None:
        raise PeerUnavailableError("npm is not installed")
    folder.mkdir(parents=True, exist_ok=True)
    manifest.write_text(json.dumps(wanted))
    await _npm(npm, folder)
    done.write_text(json.dumps(wanted))
    return folder


async def _npm(npm: str, folder: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        npm, "install", "--no-audit", "--no-fund", "--loglevel=error", "--fetch-retries=1",
        cwd=folder, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        said, _ = await asyncio.wait_for(process.communicate(), _PATIENCE)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise PeerUnavailableError(f"npm did not end within {_PATIENCE:.0f} seconds") from None
    if process.returncode:
        lines = said.decode(errors="replace").strip().splitlines()
        raise PeerUnavailableError(f"npm could not install it: {lines[0] if lines else 'no reason given'}")


@asynccontextmanager
async def peer(settings: Settings, folder: Path) -> AsyncIterator[int]:
    """PostGraphile serving the database as lead_app while the block lasts; gives its port."""
    port = free_port()
    program = folder / _PROGRAM.name  # its imports are looked for beside it
    shutil.copyfile(_PROGRAM, program)
    environment = {
        "PEER_DATABASE_URL": required(settings, "database_url"),
        "PEER_PUBLIC_KEY": token_issuer(settings).public_key_pem,
        "PEER_ISSUER": settings.public_url,
        "PEER_AUDIENCE": AUDIENCE,
        "PEER_POOL": str(settings.database_pool_size),
        "PEER_PORT": str(port),
        "NODE_ENV": "production",
        "GRAPHILE_ENV": "production",
        "NO_COLOR": "1",
        "HOME": os.environ.get("HOME", str(folder)),
    }
    async with serving([str(folder / "node_modules" / ".bin" / "node"), str(program)], environment, port):
        yield port
