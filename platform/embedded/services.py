"""The caller's side: start the guardian, learn the addresses, let go of it again."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from lead_orchestrator.embedded.request import StartRequest
from lead_orchestrator.errors import ConfigurationError

__all__ = ["Embedded", "start_embedded"]

STOP_SECONDS = 30.0


class Embedded:
    """Running services; a context manager that stops them at its end.

    `owned` is False when another live process runs them: `stop()` then leaves them alone; they end with that process.
    The addresses carry passwords: never log them.
    """

    def __init__(
        self, *, admin_url: str, redis_url: str, log_dir: Path, guardian: subprocess.Popen[bytes], owned: bool
    ) -> None:
        self.admin_url = admin_url
        self.redis_url = redis_url
        self.log_dir = log_dir
        self.owned = owned
        self._guardian = guardian

    def stop(self) -> None:
        """Stop both servers and wait until they are gone; a throw-away data folder is removed. May be repeated."""
        _release(self._guardian)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


def start_embedded(
    data_dir: Path, *, postgres_port: int = 0, redis_port: int = 0, durable: bool = True, ephemeral: bool = False
) -> Embedded:
    """Start PostgreSQL and Valkey on 127.0.0.1, or attach to those that another live process runs on `data_dir`.

    They end with this process, however it ends. Blocks until both answer (up to a minute); any thread may call it.

    Args:
        data_dir: made if absent; the same folder gives the same data again.
        postgres_port: 0 takes the port of last time, or a free one.
        redis_port: likewise.
        durable: False turns fsync and the like off; a crash of the machine may then lose everything.
        ephemeral: all that was made in `data_dir`, and the folder itself once empty, is removed at the end.

    Raises:
        ConfigurationError: a port is taken, a package is missing, the folder cannot be used or a server did not start.
    """
    folder = data_dir.absolute()
    log_dir = folder / "log"
    try:
        _make_folders(folder, log_dir)
        guardian = _spawn_guardian(log_dir)
    except OSError as error:
        raise ConfigurationError(
            f"the data folder {folder} cannot be used ({error}): choose one that this user may write to"
        ) from error
    request = StartRequest(
        data_dir=folder,
        postgres_port=postgres_port,
        redis_port=redis_port,
        durable=durable,
        ephemeral=ephemeral,
        parent_pid=os.getpid(),
    )
    try:
        answer = _ask(guardian, request)
    except BaseException:
        _release(guardian)
        raise
    if not answer["owned"]:
        _release(guardian)
    return Embedded(
        admin_url=str(answer["admin_url"]),
        redis_url=str(answer["redis_url"]),
        log_dir=log_dir,
        guardian=guardian,
        owned=bool(answer["owned"]),
    )


def _make_folders(folder: Path, log_dir: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    log_dir.mkdir(mode=0o700, exist_ok=True)


def _spawn_guardian(log_dir: Path) -> subprocess.Popen[bytes]:
    """A session of its own keeps Ctrl-C away from it: it ends when our end of its standard input closes."""
    with (log_dir / "guardian.log").open("ab") as log:
        return subprocess.Popen(  # our own module, no input in the arguments
            [sys.executable, "-m", "lead_orchestrator.embedded.guardian"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )


def _ask(guardian: subprocess.Popen[bytes], request: StartRequest) -> dict[str, object]:
    assert guardian.stdin is not None  # noqa: S101  # a pipe was asked for
    assert guardian.stdout is not None  # noqa: S101  # likewise
    with contextlib.suppress(BrokenPipeError):  # it ended at once: its log says why
        guardian.stdin.write(request.to_line())
        guardian.stdin.flush()
    line = guardian.stdout.readline()
    if not line:
        raise ConfigurationError(
            f"the embedded services did not start: see {request.data_dir / 'log' / 'guardian.log'}"
        )
    answer: dict[str, object] = json.loads(line)
    if "error" in answer:
        raise ConfigurationError(str(answer["error"]))
    return answer


def _release(guardian: subprocess.Popen[bytes]) -> None:
    for pipe in (guardian.stdin, guardian.stdout):
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
    try:
        guardian.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        guardian.kill()
        guardian.wait()
