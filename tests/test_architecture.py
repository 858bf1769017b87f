"""Import directions: the contracts hold for the code, and each of them notices a seeded violation."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of empty packages in our layout, under our contracts."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for package in ("graphql", "chat", "leads", "integrations", "tenancy", "sandbox", "embedded", "cli"):
        (tmp_path / "platform" / package).mkdir(parents=True)
        (tmp_path / "platform" / package / "__init__.py").touch()
    for module in ("app", "db", "log"):
        (tmp_path / "platform" / f"{module}.py").touch()
    (tmp_path / "lead_orchestrator").symlink_to("platform")
    return tmp_path


def _lint_imports(project: Path) -> subprocess.CompletedProcess[str]:
    """As the command does it, but with `project` in the place of this checkout on the import path."""
    program = (
        "import sys; from importlinter.cli import lint_imports_command; "
        f"sys.path[:] = [{str(project)!r}, *(path for path in sys.path if path not in {('', str(ROOT))!r})]; "
        "lint_imports_command(['--no-cache', '--no-logo'])"
    )
    return subprocess.run([sys.executable, "-c", program], cwd=project, capture_output=True, text=True, check=False)


def test_the_code_keeps_its_import_directions() -> None:
    done = _lint_imports(ROOT)

    assert done.returncode == 0, done.stdout


def test_packages_that_do_not_exist_are_no_violation(project: Path) -> None:
    done = _lint_imports(project)

    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("leads/service.py", "graphql"),
        ("leads/service.py", "chat"),
        ("db.py", "tenancy"),
        ("tenancy/sessions.py", "integrations"),
        ("integrations/client.py", "tenancy"),
        ("integrations/client.py", "db"),
        ("sandbox/world.py", "leads"),
        ("sandbox/world.py", "integrations"),
        ("embedded/cluster.py", "db"),
        ("sandbox/world.py", "embedded"),
        ("graphql/schema.py", "sandbox"),
        ("app.py", "sandbox"),
    ],
)
def test_an_import_against_the_direction_is_found(project: Path, module: str, imported: str) -> None:
    (project / "platform" / module).write_text(f"import lead_orchestrator.{imported}\n")

    done = _lint_imports(project)

    assert done.returncode == 1
    assert f"-> lead_orchestrator.{imported}" in done.stdout


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("graphql/schema.py", "leads"),
        ("cli/processes.py", "sandbox"),
        ("sandbox/world.py", "log"),
        ("chat/service.py", "leads"),
    ],
)
def test_an_import_along_the_direction_is_fine(project: Path, module: str, imported: str) -> None:
    (project / "platform" / module).write_text(f"import lead_orchestrator.{imported}\n")

    done = _lint_imports(project)

    assert done.returncode == 0, done.stdout


def test_a_new_module_needs_its_place_in_the_order(project: Path) -> None:
    (project / "platform" / "novelty.py").touch()

    done = _lint_imports(project)

    assert done.returncode == 1
    assert "lead_orchestrator.novelty" in done.stdout
