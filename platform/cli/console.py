"""What every command says, and where: answers on standard output, troubles on standard error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.table import Table

__all__ = ["AsJson", "err", "fail", "out", "print_json", "print_table", "print_text"]

out, err = Console(), Console(stderr=True)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def print_json(value: object) -> None:
    """One line, at once: others read it while the command goes on."""
    print(json.dumps(value), flush=True)  # noqa: T201 - what was asked for


def print_text(text: str, file: Path | None = None) -> None:
    """The text as it is, to the file if one is named."""
    if file is None:
        print(text, end="")  # noqa: T201 - what was asked for
    else:
        file.write_text(text)


def print_table(columns: list[str], rows: list[dict[str, object]]) -> None:
    table = Table(*columns)
    for row in rows:
        table.add_row(*(str(row[column]) for column in columns))
    out.print(table)


def fail(message: str) -> NoReturn:
    err.print(f"error: {message}", style="red", highlight=False, markup=False, soft_wrap=True)
    raise SystemExit(1)
