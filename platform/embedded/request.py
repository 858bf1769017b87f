"""What the caller asks of the guardian: one line of JSON on its standard input."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

__all__ = ["StartRequest"]


@dataclass(frozen=True, kw_only=True)
class StartRequest:
    """Ports of 0 are chosen by the guardian; `parent_pid` is the process whose end is the end of the services."""

    data_dir: Path
    postgres_port: int
    redis_port: int
    durable: bool
    ephemeral: bool
    parent_pid: int

    def to_line(self) -> bytes:
        return json.dumps(asdict(self) | {"data_dir": str(self.data_dir)}).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Self:
        values = json.loads(line)
        return cls(**values | {"data_dir": Path(values["data_dir"])})
