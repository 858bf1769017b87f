"""The private folder of the servers' data: where it is, whose it is, and when it goes.

The data folder's entry `postgres` is the private folder itself, or a link to it. As root it is elsewhere, since the
servers' user must reach it and must not be let into the caller's home.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from lead_orchestrator.embedded.account import Account, server_account
from lead_orchestrator.embedded.binaries import Binaries, copied_binaries, installed_binaries
from lead_orchestrator.embedded.child import end_leftover
from lead_orchestrator.embedded.files import FileLock, held, write_private
from lead_orchestrator.errors import ConfigurationError

__all__ = ["Cluster", "Passwords", "open_cluster", "remove"]

ROOT_HOMES = (Path("/var/lib/lead-orchestrator"), Path("/var/tmp/lead-orchestrator"))  # noqa: S108  # its owner is checked
THROW_AWAY = "tmp-"
REMOVAL_ATTEMPTS = 20
REMOVAL_PAUSE_SECONDS = 0.05
ENTRIES = ("services.json", "ports.json", "postgres", "log", "lock")


@dataclass(frozen=True)
class Passwords:
    """Random, and the same from start to start."""

    postgres: str
    valkey: str


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """An open private folder, out of everyone else's reach; `account` runs the servers, None is the caller itself."""

    folder: Path
    account: Account | None
    binaries: Binaries
    passwords: Passwords
    log_dir: Path
    lock: FileLock

    @property
    def postgres(self) -> Path:
        return self.folder / "data"

    @property
    def valkey(self) -> Path:
        return self.folder / "valkey"

    def make_folder(self, path: Path) -> None:
        """A folder only the servers can read."""
        path.mkdir(mode=0o700)
        if self.account is not None:
            self.account.own(path)


def open_cluster(data_dir: Path, *, ephemeral: bool) -> Cluster:
    """Find or make the private folder of `data_dir`; the caller holds the data folder's lock.

    Raises:
        ConfigurationError: a folder is somebody else's, or a package is missing.
    """
    link = data_dir / "postgres"
    if ephemeral:
        _refuse_to_throw_away(link)
    if os.geteuid() != 0 and not ephemeral:
        return _open(link, data_dir, installed_binaries())
    _refuse_folder(link)
    home = _home()
    with held(home / "lock"):
        _sweep(home)
        folder = home / f"{THROW_AWAY if ephemeral else ''}{_digest(data_dir)}"
        if not ephemeral:
            _follow_link(link, folder)
        cluster = _open(folder, data_dir, copied_binaries(home) if os.geteuid() == 0 else installed_binaries())
    if not (link.is_symlink() and link.readlink() == folder):
        link.unlink(missing_ok=True)
        link.symlink_to(folder)
    return cluster


def remove(cluster: Cluster, data_dir: Path) -> None:
    """Remove a throw-away cluster whose servers have ended, and what was made for it in its data folder."""
    with held(cluster.folder.parent / "lock"):
        _remove_folder(cluster.folder)
    _remove_entries(data_dir)


def _open(folder: Path, data_dir: Path, binaries: Binaries) -> Cluster:
    account = server_account(folder / "data")
    folder.mkdir(mode=0o700, exist_ok=True)
    if account is not None:  # its user may pass through, nobody else
        os.chown(folder, 0, account.gid)
        folder.chmod(0o750)
    lock = FileLock(folder / "lock")
    if not lock.take():
        raise ConfigurationError(
            f"{folder} is in use by process {lock.holder()}: stop it, or choose another data folder"
        )
    write_private(folder / "data_dir", str(data_dir))
    return Cluster(
        folder=folder,
        account=account,
        binaries=binaries,
        passwords=_passwords(folder / "passwords.json"),
        log_dir=data_dir / "log",
        lock=lock,
    )


def _passwords(path: Path) -> Passwords:
    if not path.exists():
        write_private(path, json.dumps({"postgres": secrets.token_urlsafe(32), "valkey": secrets.token_urlsafe(32)}))
    return Passwords(**json.loads(path.read_text(encoding="utf-8")))


def _digest(data_dir: Path) -> str:
    return hashlib.sha256(str(data_dir.resolve()).encode()).hexdigest()[:16]


def _home() -> Path:
    """The parent of private folders that are not in the data folder.

    Raises:
        ConfigurationError: there is no place for it.
    """
    if os.geteuid() != 0:
        return _own_folder(Path(tempfile.gettempdir()) / f"lead-orchestrator-{os.geteuid()}", 0o700)
    problems = []
    for candidate in ROOT_HOMES:
        try:
            return _own_folder(candidate, 0o755)
        except OSError as error:
            problems.append(str(error))
    raise ConfigurationError(
        f"there is no place for the embedded PostgreSQL's files ({'; '.join(problems)}):"
        " start this as a user other than root, or set DATABASE_URL and REDIS_URL"
    )


def _own_folder(path: Path, mode: int) -> Path:
    path.mkdir(mode=mode, exist_ok=True)
    found = path.lstat()
    if path.is_symlink() or found.st_uid != os.geteuid():
        raise ConfigurationError(f"{path} belongs to another user (uid {found.st_uid}): remove it, it is ours to make")
    path.chmod(mode)
    return path


def _refuse_to_throw_away(link: Path) -> None:
    if link.exists() and not link.resolve().name.startswith(THROW_AWAY):
        raise ConfigurationError(
            f"{link.parent} holds the data of another run: a throw-away run needs a folder of its own"
        )


def _refuse_folder(link: Path) -> None:
    if link.exists() and not link.is_symlink():
        raise ConfigurationError(
            f"{link} was made by another user (uid {link.stat().st_uid}): start this as that user, or remove it"
        )


def _follow_link(link: Path, folder: Path) -> None:
    """The link says whose data it is: data go along with a moved data folder; those of a removed one are set aside."""
    former = link.readlink() if link.is_symlink() else None
    if former == folder:
        return
    if folder.exists():
        aside = folder.with_name(f"{folder.name}.old")
        shutil.rmtree(aside, ignore_errors=True)
        folder.rename(aside)
    if former is not None and _was_moved(former, folder.parent):
        former.rename(folder)


def _was_moved(former: Path, home: Path) -> bool:
    if former.parent != home or former.name.startswith(THROW_AWAY) or not former.is_dir():
        return False
    data_dir = Path((former / "data_dir").read_text(encoding="utf-8"))
    return not (data_dir / "postgres").is_symlink()


def _sweep(home: Path) -> None:
    """Remove throw-away folders whose guardian is gone; the caller holds the home's lock."""
    for folder in home.glob(f"{THROW_AWAY}*"):
        lock = FileLock(folder / "lock")
        if lock.take():
            end_leftover(folder / "data" / "postmaster.pid", folder / "data")
            end_leftover(folder / "valkey" / "valkey.pid", folder / "valkey")
            _forget(folder)
            lock.release()


def _forget(folder: Path) -> None:
    origin = folder / "data_dir"
    data_dir = Path(origin.read_text(encoding="utf-8")) if origin.exists() else None
    _remove_folder(folder)
    if data_dir is None or not data_dir.is_dir():
        return
    lock = FileLock(data_dir / "lock")
    if lock.take():
        _remove_entries(data_dir)
        lock.release()


def _remove_folder(folder: Path) -> None:
    """A process just killed may still be writing its last file there: hence some attempts."""
    for _ in range(REMOVAL_ATTEMPTS):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(REMOVAL_PAUSE_SECONDS)


def _remove_entries(data_dir: Path) -> None:
    for name in ENTRIES:
        path = data_dir / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # the caller's own files are in it
        data_dir.rmdir()
