"""The code's folder is called `platform`, as the standard library's module is: what keeps the two apart."""

from __future__ import annotations

import ast
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CODE = ROOT / "platform"
PRINT_PLATFORM = "import platform; print(platform.__file__, platform.system())"


def _python(*arguments: str, cwd: Path = ROOT) -> str:
    return subprocess.run([sys.executable, *arguments], cwd=cwd, capture_output=True, text=True, check=True).stdout


def test_the_folder_is_no_package() -> None:
    assert CODE.is_dir()
    assert not (CODE / "__init__.py").exists()
    assert not (CODE / "__main__.py").exists()


def test_the_import_name_is_a_relative_link() -> None:
    link = ROOT / "lead_orchestrator"

    assert link.is_symlink()
    assert str(link.readlink()) == "platform"


def test_the_link_is_committed_as_a_link() -> None:
    if not (ROOT / ".git").exists():
        return  # an exported tree has nothing committed
    listed = subprocess.run(
        ["git", "ls-files", "--stage", "lead_orchestrator"], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert listed.stdout.startswith("120000 ")


@pytest.mark.parametrize("arguments", [("-c", PRINT_PLATFORM), ("-P", "-c", PRINT_PLATFORM)])
def test_platform_is_the_standard_librarys(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    standard = Path(sysconfig.get_path("stdlib"))

    for folder in (ROOT, CODE, ROOT / "tests", tmp_path):
        file, system = _python(*arguments, cwd=folder).split()

        assert (Path(file), system) == (
            standard / "platform.py",
            _python("-c", "import os; print(os.uname()[0])").strip(),
        )


def test_the_code_is_importable_by_its_import_name_from_anywhere(tmp_path: Path) -> None:
    file = _python("-c", "import lead_orchestrator.settings as s; print(s.__file__)", cwd=tmp_path).strip()

    assert Path(file).resolve() == CODE / "settings.py"


def test_imports_are_absolute_and_never_by_the_folders_name() -> None:
    found = [f"{path.relative_to(ROOT)}: {name}" for path in _sources() for name in _imported(path) if _is_wrong(name)]

    assert found == []


@pytest.mark.parametrize(
    "source", ["from . import db", "from .db import x", "import platform.db", "from platform import db"]
)
def test_a_wrong_import_is_noticed(tmp_path: Path, source: str) -> None:
    module = tmp_path / "module.py"
    module.write_text(source)

    assert any(_is_wrong(name) for name in _imported(module))


def test_the_wheel_holds_the_code_under_its_import_name(tmp_path: Path) -> None:
    _python("-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path))

    [wheel] = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()

    assert "lead_orchestrator/settings.py" in names
    assert {f"lead_orchestrator/{path.relative_to(CODE)}" for path in CODE.rglob("*") if _is_shipped(path)} <= set(
        names
    )
    assert [name for name in names if name.startswith("lead_orchestrator/migrations/")]
    assert {name.split("/")[0].partition("-")[0] for name in names} == {"lead_orchestrator"}


def test_the_installation_in_place_holds_no_copy_of_anything() -> None:
    """A copied migration, say, would stay as it was when .venv was made."""
    assert not (Path(sysconfig.get_path("purelib")) / "lead_orchestrator").exists()


def _is_shipped(path: Path) -> bool:
    return path.is_file() and "__pycache__" not in path.parts


def _sources() -> list[Path]:
    return [
        path for folder in (CODE, ROOT / "tests", ROOT / "migrations", ROOT / "tools") for path in folder.rglob("*.py")
    ]


def _imported(path: Path) -> list[str]:
    """Full names; a relative one begins with its dots. `from platform import system` is "platform.system"."""
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names]
    return names


def _is_wrong(name: str) -> bool:
    first, _, rest = name.partition(".")
    ours = {path.stem for path in CODE.iterdir()}
    return first == "" or (first == "platform" and rest.partition(".")[0] in ours)
