from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tools.lints import INDEX_HOSTS
from tools.lock import without_addresses

ROOT = Path(__file__).resolve().parents[2]
UV = ROOT / ".venv/bin/uv"


@pytest.fixture(scope="module")
def lock() -> dict[str, Any]:
    return tomllib.loads((ROOT / "uv.lock").read_text())


def test_an_address_becomes_a_file_name_and_an_index_just_an_index() -> None:
    locked = """\
source = { registry = "https://index.example.com/simple" }
sdist = { url = "https://files.example.com/a/b/alembic-1.20.1.tar.gz", hash = "sha256:83490d", size = 2103576 }
wheels = [{ path = "/opt/wheels/alembic-1.20.1-py3-none-any.whl", hash = "sha256:83490e" }]
"""

    assert (
        without_addresses(locked)
        == """\
source = { registry = "index" }
sdist = { filename = "alembic-1.20.1.tar.gz", hash = "sha256:83490d", size = 2103576 }
wheels = [{ filename = "alembic-1.20.1-py3-none-any.whl", hash = "sha256:83490e" }]
"""
    )


def test_a_lock_without_addresses_stays_as_it_is() -> None:
    lock = (ROOT / "uv.lock").read_text()

    assert without_addresses(lock) == lock


def test_the_lock_names_no_host() -> None:
    lock = (ROOT / "uv.lock").read_text()

    assert not re.search(r"\w+://", lock)
    assert not [host for host in INDEX_HOSTS if host in lock]


def test_the_lock_covers_what_the_project_asks_for(lock: dict[str, Any]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    asked = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    asked += [wanted for group in project["dependency-groups"].values() for wanted in group if isinstance(wanted, str)]
    asked += [wanted for extra in project["project"]["optional-dependencies"].values() for wanted in extra]

    locked = {package["name"] for package in lock["package"]}

    assert {re.split(r"[^\w-]", wanted)[0] for wanted in asked} <= locked


def test_the_lock_is_the_one_of_this_pyproject() -> None:
    """Without network: uv finds nothing to resolve when each requirement with its bounds is the one locked."""
    done = subprocess.run(
        [UV, "lock", "--check", "--offline"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )

    assert done.returncode == 0, f"run `make lock`:\n{done.stderr}"


def test_each_file_has_a_hash(lock: dict[str, Any]) -> None:
    files = [
        file
        for package in lock["package"]
        if package["name"] != "lead-orchestrator"
        for file in [*package.get("wheels", []), *([package["sdist"]] if "sdist" in package else [])]
    ]

    assert len(files) > 1000
    assert all(file["hash"].startswith("sha256:") for file in files)


def test_locking_again_changes_nothing(tmp_path: Path) -> None:
    for name in ("pyproject.toml", "uv.lock"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())

    subprocess.run([UV, "lock", "--offline", "-q"], cwd=tmp_path, check=True, stdin=subprocess.DEVNULL)

    assert without_addresses((tmp_path / "uv.lock").read_text()) == (ROOT / "uv.lock").read_text()
