"""The embedded PostgreSQL."""

from __future__ import annotations

import locale
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

from lead_orchestrator.embedded.child import Program, run_to_end, tail
from lead_orchestrator.embedded.cluster import Cluster
from lead_orchestrator.embedded.files import write_private
from lead_orchestrator.embedded.lifeline import Lifeline
from lead_orchestrator.embedded.ports import LOOPBACK
from lead_orchestrator.errors import ConfigurationError

__all__ = ["Postgres"]

INIT_SECONDS = 120.0
ENDINGS = ((signal.SIGINT, 12.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0))  # fast, immediate, hard
CHARACTER_TYPES = ("C.UTF-8", "en_US.UTF-8", "C")  # pg_trgm asks the system which letters are letters

SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",  # nothing needs a socket, so there is none to guard
    "timezone": "UTC",
    "log_timezone": "UTC",
    "max_connections": "200",
    "shared_buffers": "128MB",
    # The log never holds what customers wrote: no statements, no parameters, no errors either: they quote values.
    "log_destination": "stderr",
    "logging_collector": "off",
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_statement": "none",
    "log_min_duration_statement": "-1",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_checkpoints": "off",
    "log_lock_waits": "off",
}
NOT_DURABLE = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}


@dataclass(frozen=True)
class Postgres:
    """A cluster that only passwords open, on the loopback address."""

    cluster: Cluster
    durable: bool
    name: str = "PostgreSQL"

    @property
    def pid_file(self) -> Path:
        return self.cluster.postgres / "postmaster.pid"

    @property
    def log(self) -> Path:
        return self.cluster.log_dir / "postgres.log"

    def prepare(self, lifeline: Lifeline) -> None:
        """Make the cluster under another name first, so that an interrupted start leaves no half of one."""
        if self.cluster.postgres.exists():
            return
        unfinished = self.cluster.folder / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        self.cluster.make_folder(unfinished)
        password = self.cluster.folder / "password.unfinished"
        try:
            write_private(password, self.cluster.passwords.postgres, self.cluster.account)
            self._initialise(unfinished, password, lifeline)
        finally:
            password.unlink(missing_ok=True)
        unfinished.rename(self.cluster.postgres)

    def program(self, port: int) -> Program:
        settings = SETTINGS | ({} if self.durable else NOT_DURABLE) | {"port": str(port)}
        return Program(
            argv=(
                str(self.cluster.binaries.postgres),
                "-D",
                str(self.cluster.postgres),
                *(word for name, value in settings.items() for word in ("-c", f"{name}={value}")),
            ),
            folder=self.cluster.postgres,
            account=self.cluster.account,
            log=self.log,
            endings=ENDINGS,
        )

    def answers(self, port: int, pid: int) -> bool:
        """The pid file's lines: pid, folder, start, port, socket folder, address, shared memory, state."""
        try:
            lines = self.pid_file.read_text(encoding="utf-8").split("\n")
        except FileNotFoundError:
            return False
        return lines[0] == str(pid) and lines[3:4] == [str(port)] and [word.strip() for word in lines[7:8]] == ["ready"]

    def _initialise(self, folder: Path, password: Path, lifeline: Lifeline) -> None:
        program = Program(
            argv=(
                str(self.cluster.binaries.initdb),
                f"--pgdata={folder}",
                f"--pwfile={password}",
                "--username=postgres",
                "--auth-local=scram-sha-256",
                "--auth-host=scram-sha-256",
                "--encoding=UTF8",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--locale=C",
                f"--lc-ctype={_character_type()}",
                "--no-instructions",
                *(() if self.durable else ("--no-sync",)),
            ),
            folder=folder,
            account=self.cluster.account,
            log=self.cluster.log_dir / "initdb.log",
        )
        if run_to_end(program, lifeline.until, INIT_SECONDS) != 0:
            raise ConfigurationError(
                f"the embedded PostgreSQL's files could not be made. The end of {program.log}:\n{tail(program.log)}"
            )


def _character_type() -> str:
    """The first of the locales that this machine has."""
    for name in CHARACTER_TYPES:
        try:
            locale.setlocale(locale.LC_CTYPE, name)
        except locale.Error:
            continue
        return name
    return CHARACTER_TYPES[-1]
