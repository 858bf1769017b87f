"""Look at the processes of a data folder from outside, and at callers in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from lead_orchestrator.embedded.ports import is_free

LIMIT_SECONDS = 20.0


@dataclass(frozen=True)
class Pids:
    """The three processes of one data folder."""

    guardian: int
    postgres: int
    valkey: int

    def alive(self) -> list[int]:
        return [pid for pid in (self.guardian, self.postgres, self.valkey) if is_alive(pid)]


def read_pids(data_dir: Path) -> Pids:
    return Pids(
        guardian=json.loads((data_dir / "services.json").read_text())["guardian"],
        postgres=int((data_dir / "postgres" / "data" / "postmaster.pid").read_text().split()[0]),
        valkey=int((data_dir / "postgres" / "valkey" / "valkey.pid").read_text()),
    )


def is_alive(pid: int) -> bool:
    """A zombie is not alive: it waits for init to notice."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in ("Z", "X")


@contextmanager
def sleeping(folder: Path, user: int | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A process that works in `folder` and does nothing, run by `user` when this is root."""
    process = subprocess.Popen(["sleep", "60"], cwd=folder, user=user if os.geteuid() == 0 else None)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + LIMIT_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def port_of(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None
    return port


def run_caller(data_dir: Path, *, ephemeral: bool = True) -> subprocess.Popen[bytes]:
    """A program of its own, in a session of its own, that starts the services on `data_dir` and waits."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.embedded.caller", str(data_dir), "ephemeral" if ephemeral else "kept"],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


class Caller:
    """Such a program, with the services started."""

    def __init__(self, data_dir: Path, *, ephemeral: bool = True) -> None:
        self.process = run_caller(data_dir, ephemeral=ephemeral)
        assert self.process.stdout is not None
        addresses = json.loads(self.process.stdout.readline())
        self.ports = [port_of(addresses["admin_url"]), port_of(addresses["redis_url"])]
        self.pids = read_pids(data_dir)
        self.private_folder = (data_dir / "postgres").resolve()

    def end_by(self, number: int, *, group: bool = False) -> None:
        """Send the signal, to its whole group as a terminal's Ctrl-C does if so told, and wait for its end."""
        (os.killpg if group else os.kill)(self.process.pid, number)
        self.process.communicate(timeout=LIMIT_SECONDS)

    def leaves_nothing_running(self) -> bool:
        return wait_for(lambda: not self.pids.alive()) and all(is_free(port) for port in self.ports)
