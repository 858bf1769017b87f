"""Child processes that end with us, and those an earlier run left behind."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lead_orchestrator.embedded.account import Account
from lead_orchestrator.errors import ConfigurationError

__all__ = ["Program", "end_leftover", "end_process", "run_to_end", "spawn", "tail"]

PR_SET_PDEATHSIG = 1
POLL_SECONDS = 0.01
SERVER_NAMES = ("postgres", "valkey-server")
LEFTOVER_ENDINGS = ((signal.SIGINT, 15.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0))
LOG_LINES = 15
LOG_BYTES = 5_000_000


@dataclass(frozen=True)
class Program:
    """A command, the folder it works in, who runs it, and its log file.

    `endings`: the signals that end it, each with the seconds it gets before the next.
    """

    argv: tuple[str, ...]
    folder: Path
    account: Account | None
    log: Path
    endings: tuple[tuple[signal.Signals, float], ...] = ((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0))


def spawn(program: Program) -> subprocess.Popen[bytes]:
    """Start it in a session of its own.

    Raises:
        ConfigurationError: it cannot be run at all.
    """
    account = program.account
    _keep_log_small(program.log)
    try:
        with program.log.open("ab") as log:
            return subprocess.Popen(  # noqa: S603  # paths and settings of our own
                program.argv,
                cwd=program.folder,
                env={"PATH": "/usr/bin:/bin", "TZ": "UTC", "LC_MESSAGES": "C"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                user=account.uid if account else None,
                group=account.gid if account else None,
                extra_groups=[] if account else None,
                umask=0o077,
                preexec_fn=_dying_with_us(program.endings[0][0]),  # noqa: PLW1509  # the guardian has one thread
            )
    except (OSError, subprocess.SubprocessError) as error:
        user = f" as user {account.name}" if account else ""
        raise ConfigurationError(
            f"{program.argv[0]} cannot be run{user} ({error}): set DATABASE_URL and REDIS_URL instead"
        ) from error


def run_to_end(program: Program, wait: Callable[[Callable[[], bool], float], bool], seconds: float) -> int:
    """Run it within that time; `wait` is `Lifeline.until`. Returns its exit code, -9 when the time was up."""
    process = spawn(program)
    try:
        wait(lambda: process.poll() is not None, seconds)
    finally:
        if process.poll() is None:  # its own children too
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return process.returncode


def end_process(process: subprocess.Popen[bytes], endings: Sequence[tuple[signal.Signals, float]]) -> None:
    for number, seconds in endings:
        if process.poll() is not None:
            return
        process.send_signal(number)
        _wait(lambda: process.poll() is not None, seconds)


def end_leftover(pid_file: Path, folder: Path) -> None:
    """End a server of an earlier guardian that still works in `folder`; whatever else has its pid now is left alone."""
    try:
        pid = int(pid_file.read_text(encoding="ascii").split()[0])
    except (FileNotFoundError, IndexError, ValueError):
        pid_file.unlink(missing_ok=True)
        return
    for number, seconds in LEFTOVER_ENDINGS:
        if not _works_in(pid, folder):
            break
        os.kill(pid, number)
        _wait(lambda: not _works_in(pid, folder), seconds)
    pid_file.unlink(missing_ok=True)


def tail(log: Path) -> str:
    """The last lines of a log, for an error's message."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        return f"(no log: {error})"
    return "\n".join(lines[-LOG_LINES:])


def _dying_with_us(number: signal.Signals) -> Callable[[], None] | None:
    """Runs in the child, after it has changed its user (which would clear the setting) and before the program."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    guardian = os.getpid()

    def tie() -> None:
        prctl(PR_SET_PDEATHSIG, int(number), 0, 0, 0)
        if os.getppid() != guardian:  # it died in between
            os._exit(1)

    return tie


def _works_in(pid: int, folder: Path) -> bool:
    """Whether that process is one of our servers: each has a working folder of its own."""
    try:
        if sys.platform.startswith("linux"):
            return Path(f"/proc/{pid}/cwd").readlink() == folder.resolve()
        listing = subprocess.run(  # noqa: S603  # a pid
            ["/bin/ps", "-o", "comm=", "-p", str(pid)], capture_output=True, text=True, check=False
        )
        return Path(listing.stdout.strip()).name in SERVER_NAMES
    except OSError:
        return False


def _wait(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)


def _keep_log_small(log: Path) -> None:
    if log.exists() and log.stat().st_size > LOG_BYTES:
        log.rename(log.with_name(f"{log.name}.1"))
