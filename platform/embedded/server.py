"""What the two servers have in common: a program for a port, and a way to see that it answers."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lead_orchestrator.embedded.child import Program, end_leftover, end_process, spawn, tail
from lead_orchestrator.embedded.lifeline import Lifeline
from lead_orchestrator.embedded.ports import RememberedPorts
from lead_orchestrator.errors import ConfigurationError

__all__ = ["Running", "Server", "start", "stop_all"]

START_SECONDS = 60.0
ATTEMPTS = 3
PAUSE_SECONDS = 0.3


class Server(Protocol):
    """PostgreSQL or Valkey."""

    @property
    def name(self) -> str: ...

    @property
    def pid_file(self) -> Path:
        """Its first word is the pid; it lies in the folder the server works in."""
        ...

    @property
    def log(self) -> Path: ...

    def prepare(self, lifeline: Lifeline) -> None:
        """Make what it needs before its first start."""

    def program(self, port: int) -> Program: ...

    def answers(self, port: int, pid: int) -> bool:
        """Whether that very process takes connections."""
        ...


@dataclass(frozen=True)
class Running:
    """A started server."""

    server: Server
    port: int
    process: subprocess.Popen[bytes]
    endings: tuple[tuple[signal.Signals, float], ...]


def start(server: Server, asked: int, ports: RememberedPorts, lifeline: Lifeline) -> Running:
    """Start it on the port `asked` for (0: one we choose) and wait until it answers.

    A chosen port may be taken before it is used, and a crashed server's memory may still be held: hence some attempts.

    Raises:
        ConfigurationError: it does not start; the message has the end of its log.
    """
    end_leftover(server.pid_file, server.pid_file.parent)
    for _ in range(ATTEMPTS):
        port = ports.choose(server.name, asked)
        program = server.program(port)
        process = spawn(program)
        if _comes_up(server, process, port, program, lifeline):
            ports.remember(server.name, port)
            return Running(server, port, process, program.endings)
        lifeline.broken_within(PAUSE_SECONDS)
    raise ConfigurationError(f"the embedded {server.name} did not start. The end of {server.log}:\n{tail(server.log)}")


def stop_all(running: Sequence[Running]) -> None:
    """End them, the last started first."""
    for each in reversed(running):
        end_process(each.process, each.endings)


def _comes_up(
    server: Server, process: subprocess.Popen[bytes], port: int, program: Program, lifeline: Lifeline
) -> bool:
    answering = False
    try:
        lifeline.until(lambda: process.poll() is not None or server.answers(port, process.pid), START_SECONDS)
        answering = process.poll() is None and server.answers(port, process.pid)
    finally:
        if not answering:
            end_process(process, program.endings)
    return answering
