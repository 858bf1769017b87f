"""The bootstrap, run as `make` runs it, on a project with nothing to install but uv itself and a build backend."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A finished checkout in a path with a space: its .venv is a stand-in that was stamped by the real fingerprint."""
    root = tmp_path / "a b"
    (root / "tools").mkdir(parents=True)
    shutil.copy(ROOT / "Makefile", root)
    shutil.copy(ROOT / "tools/bootstrap.py", root / "tools")
    for name in ("pyproject.toml", "uv.lock"):
        shutil.copy(ROOT / name, root)
    (root / ".venv/bin").mkdir(parents=True)
    (root / ".venv/bin/python").symlink_to(sys.executable)
    _stamp(root)
    return root


def _ask(root: Path, expression: str) -> str:
    """What the checkout's own bootstrap says of it."""
    program = (
        f"import sys; sys.path.insert(0, {str(root / 'tools')!r}); import bootstrap; print(bootstrap.{expression})"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHON"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _stamp(root: Path) -> None:
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    stamp = {"root": str(root), "python": python, "contents": _ask(root, "_contents()")}
    (root / ".venv/stamp.json").write_text(json.dumps(stamp))


def _make_venv(root: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """`make venv` with an index that nothing answers at, so that what would be installed shows as a failure."""
    closed = {"PIP_NO_INDEX": "1", "UV_OFFLINE": "1", "UV_CACHE_DIR": str(root / "cache"), "PIP_FIND_LINKS": ""}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "PYTHON"))}
    return subprocess.run(
        ["make", "-s", "-C", root, "venv"],
        env=inherited | closed | environment,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def test_a_finished_environment_is_left_alone_without_a_word(checkout: Path) -> None:
    done = _make_venv(checkout)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_an_interrupted_environment_is_made_anew_and_a_failure_says_which_command_failed(checkout: Path) -> None:
    (checkout / ".venv/stamp.json").unlink()
    (checkout / ".venv/left-over").touch()

    done = _make_venv(checkout)

    assert done.returncode != 0
    assert "Making .venv with Python" in done.stderr
    assert "Bringing .venv up to date" not in done.stderr
    assert re.search(r"Could not prepare \.venv: .* -m pip .* ended with 1", done.stderr)
    assert "No matching distribution found" in done.stderr
    assert not (checkout / ".venv/left-over").exists()
    assert not (checkout / ".venv/stamp.json").exists()


def test_an_environment_that_was_moved_here_is_of_no_use(checkout: Path) -> None:
    moved = checkout.rename(checkout.with_name("c d"))

    assert _ask(moved, "_is_usable()") == "False"


@pytest.mark.parametrize("name", ["uv.lock", "pyproject.toml"])
def test_after_a_change_of_what_is_wanted_the_environment_is_updated_in_place(checkout: Path, name: str) -> None:
    with (checkout / name).open("a") as file:
        file.write("\n")

    assert (_ask(checkout, "_is_current()"), _ask(checkout, "_is_usable()")) == ("False", "True")


def test_an_environment_elsewhere_is_not_deleted(checkout: Path, tmp_path: Path) -> None:
    elsewhere = (checkout / ".venv").rename(tmp_path / "elsewhere")
    (elsewhere / "stamp.json").unlink()
    (checkout / ".venv").symlink_to(elsewhere)

    done = _make_venv(checkout)

    assert "is a symbolic link; remove it" in done.stderr
    assert (elsewhere / "bin").is_dir()


@pytest.mark.parametrize("python", ["/no where/python3", "/bin/false"])
def test_a_python_that_will_not_do_is_named(checkout: Path, python: str) -> None:
    done = _make_venv(checkout, PYTHON=python)

    assert done.returncode != 0
    assert f"needs Python >= 3.11 and found none at PYTHON={python}" in done.stderr


def test_the_uv_that_installs_is_the_one_locked() -> None:
    [uv] = [p for p in tomllib.loads((ROOT / "uv.lock").read_text())["package"] if p["name"] == "uv"]

    version = subprocess.run([ROOT / ".venv/bin/uv", "--version"], capture_output=True, text=True, check=True).stdout

    assert version.split()[1] == uv["version"]


def test_every_target_of_the_makefile_is_explained() -> None:
    makefile = (ROOT / "Makefile").read_text()
    [phony] = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)

    shown = subprocess.run(["make", "-s", "-C", ROOT], capture_output=True, text=True, check=True).stdout

    assert [line.split()[1] for line in shown.splitlines()] == phony.split()
