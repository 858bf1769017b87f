"""The guardian's tie to its parent."""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from collections.abc import Callable
from types import FrameType

__all__ = ["Abandoned", "Lifeline"]

POLL_SECONDS = 0.01


class Abandoned(Exception):  # noqa: N818  # a state, not a failure
    """Nobody wants the services any more."""


class Lifeline:
    """Broken when the other end of `descriptor` is closed, when the parent is gone, or after SIGTERM, SIGINT or SIGHUP.

    The parent's pid is watched too: a child it forked may still hold the pipe open.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._parent = os.getppid()
        self._wake, self._signalled = socket.socketpair()
        self._told = False
        self._signalled.setblocking(False)
        signal.set_wakeup_fd(self._signalled.fileno())
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._on_signal)

    def expect_parent(self, pid: int) -> None:
        """The parent that asked; it may have ended before this process could look."""
        self._parent = pid

    def read_line(self) -> bytes:
        line = b""
        while not line.endswith(b"\n"):
            more = os.read(self._descriptor, 4096)
            if not more:
                raise Abandoned
            line += more
        return line

    def broken_within(self, seconds: float) -> bool:
        """Wait that long at most; True as soon as the line is broken."""
        if self._told or os.getppid() != self._parent:
            return True
        readable, _, _ = select.select([self._descriptor, self._wake.fileno()], [], [], seconds)
        if self._descriptor in readable and not os.read(self._descriptor, 4096):
            self._told = True
        return self._told or os.getppid() != self._parent

    def until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait for the condition; False when it took longer than `seconds`.

        Raises:
            Abandoned: the line broke before.
        """
        deadline = time.monotonic() + seconds
        while not condition():
            if self.broken_within(POLL_SECONDS):
                raise Abandoned
            if time.monotonic() > deadline:
                return False
        return True

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._told = True
