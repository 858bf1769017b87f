"""Ports of the loopback address."""

from __future__ import annotations

import contextlib
import json
import socket
from pathlib import Path

from lead_orchestrator.embedded.files import write_private
from lead_orchestrator.errors import ConfigurationError

__all__ = ["LOOPBACK", "RememberedPorts", "is_free"]

LOOPBACK = "127.0.0.1"
HIGHEST_PORT = 65535


class RememberedPorts:
    """The ports of last time, so that an address noted down yesterday still works today."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ports: dict[str, int] = {}
        with contextlib.suppress(FileNotFoundError, ValueError):
            self._ports = json.loads(path.read_text(encoding="utf-8"))

    def choose(self, server: str, asked: int) -> int:
        """The port asked for, else that of last time if it is free, else any free one.

        Raises:
            ConfigurationError: as `check`.
        """
        self.check(server, asked)
        if asked:
            return asked
        last = self._ports.get(server, 0)
        return last if last and is_free(last) else _any_free()

    @staticmethod
    def check(server: str, asked: int) -> None:
        """Refuse a port that cannot be had; 0 asks for none.

        Raises:
            ConfigurationError: it is not a port or is taken.
        """
        if asked:
            _check(server, asked)

    def remember(self, server: str, port: int) -> None:
        self._ports[server] = port
        write_private(self._path, json.dumps(self._ports))


def is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def _check(server: str, port: int) -> None:
    if not 0 < port <= HIGHEST_PORT:
        raise ConfigurationError(
            f"{port} is no port for the embedded {server}: choose one from 1 to {HIGHEST_PORT}, or 0 for any"
        )
    if not is_free(port):
        raise ConfigurationError(
            f"port {port} on {LOOPBACK}, asked for the embedded {server}, is taken or not allowed:"
            " stop what listens there, ask for another port, or for 0 to have a free one chosen"
        )


def _any_free() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port
