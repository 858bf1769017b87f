"""Bring uv.lock up to date with pyproject.toml, without the address of any package index in it.

Versions stay as they are where they still fit. `--upgrade` moves all of them, `--upgrade-package NAME` one; other
options of `uv lock` pass through. Versions and hashes are the lock; where files come from is up to who installs.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main(arguments: list[str]) -> int:
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in ("pyproject.toml", "uv.lock"):
            shutil.copy(ROOT / name, copy)
        command = [str(ROOT / ".venv/bin/uv"), "lock", "--project", folder, "--python", sys.executable, *arguments]
        done = subprocess.run(command, cwd=copy, check=False)  # noqa: S603 - our own uv
        if done.returncode == 0:
            lock = without_addresses((copy / "uv.lock").read_text())
            (ROOT / "uv.lock").write_text(lock)
        return done.returncode


def without_addresses(lock: str) -> str:
    """The same lock with each file named by its name alone and every index called "index"; uv reads it all the same."""
    lock = re.sub(r'\b(?:url|path) = "[^"]*/([^"/]+)"', r'filename = "\1"', lock)
    return re.sub(r'registry = "[^"]*"', 'registry = "index"', lock)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
