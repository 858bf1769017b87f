"""The embedded Valkey."""

from __future__ import annotations

import signal
import socket
from dataclasses import dataclass
from pathlib import Path

from lead_orchestrator.embedded.child import Program
from lead_orchestrator.embedded.cluster import Cluster
from lead_orchestrator.embedded.files import write_private
from lead_orchestrator.embedded.lifeline import Lifeline
from lead_orchestrator.embedded.ports import LOOPBACK

__all__ = ["Valkey"]

ANSWER_SECONDS = 1.0
ENDINGS = ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0))

# Nothing is kept on disk: what must last is in PostgreSQL. Paths are relative to its folder.
CONFIGURATION = """\
bind {address}
port {port}
requirepass {password}
protected-mode yes
save ""
appendonly no
dir ./
pidfile valkey.pid
daemonize no
loglevel warning
"""


@dataclass(frozen=True)
class Valkey:
    """A password-protected Valkey on the loopback address."""

    cluster: Cluster
    name: str = "Valkey"

    @property
    def pid_file(self) -> Path:
        return self.cluster.valkey / "valkey.pid"

    @property
    def log(self) -> Path:
        return self.cluster.log_dir / "valkey.log"

    def prepare(self, lifeline: Lifeline) -> None:  # noqa: ARG002  # part of the protocol; this takes no time
        if not self.cluster.valkey.exists():
            self.cluster.make_folder(self.cluster.valkey)

    def program(self, port: int) -> Program:
        """The password goes by a file: arguments can be read by every user of the machine."""
        configuration = CONFIGURATION.format(address=LOOPBACK, port=port, password=self.cluster.passwords.valkey)
        write_private(self.cluster.valkey / "valkey.conf", configuration, self.cluster.account)
        return Program(
            argv=(str(self.cluster.binaries.valkey), "valkey.conf"),
            folder=self.cluster.valkey,
            account=self.cluster.account,
            log=self.log,
            endings=ENDINGS,
        )

    def answers(self, port: int, pid: int) -> bool:  # noqa: ARG002  # the password tells it from any other
        try:
            with socket.create_connection((LOOPBACK, port), ANSWER_SECONDS) as connection:
                connection.sendall(f"AUTH {self.cluster.passwords.valkey}\r\n".encode())
                return connection.recv(64).startswith(b"+OK")
        except OSError:
            return False
