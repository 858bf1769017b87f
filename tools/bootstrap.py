"""Make .venv hold exactly what uv.lock names. Standard library only: this runs before anything is installed.

A stamp in .venv says what it was made from, so a second run ends at once. It is written last: without it, whatever
lies in .venv was interrupted and is made anew. Packages come from whichever index pip or uv is configured for.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMP = VENV / "stamp.json"
PYTHON = VENV / "bin" / "python"
UV = VENV / "bin" / "uv"
REQUIREMENTS = VENV / "requirements.txt"

# They would send what is installed here to somewhere else.
REDIRECTIONS = (
    "PIP_PREFIX",
    "PIP_ROOT",
    "PIP_TARGET",
    "PIP_USER",
    "PYTHONHOME",
    "PYTHONPATH",
    "UV_PREFIX",
    "UV_TARGET",
    "VIRTUAL_ENV",
)


class StepError(Exception):
    """A step failed; the message holds the command and the end of its output."""


def main(arguments: list[str]) -> int:
    if arguments == ["--uv-requirement"]:
        print(uv_requirement())
        return 0
    try:
        if not _is_current():
            with _one_at_a_time():
                if not _is_current():
                    _bring_up_to_date()
    except StepError as error:
        print(f"Could not prepare .venv: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _contents() -> str:
    digest = hashlib.sha256(os.fsencode(ROOT))
    for name in ("pyproject.toml", "uv.lock"):
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def _stamp() -> dict[str, str]:
    try:
        stamp: dict[str, str] = json.loads(STAMP.read_text())
    except (OSError, ValueError):
        return {}
    return stamp


def _is_current() -> bool:
    return _is_usable() and _stamp().get("contents") == _contents()


def _is_usable() -> bool:
    """Whether .venv was once finished here, and with the interpreter that PYTHON asks for, if it asks."""
    asked = _version() if os.environ.get("PYTHON") else None
    stamp = _stamp()
    return stamp.get("root") == str(ROOT) and asked in {None, stamp.get("python")} and os.access(PYTHON, os.X_OK)


def _version() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


@contextlib.contextmanager
def _one_at_a_time() -> Iterator[None]:
    with Path(__file__).open() as own_source:
        fcntl.flock(own_source, fcntl.LOCK_EX)
        yield


def _bring_up_to_date() -> None:
    if _is_usable():
        _say("Bringing .venv up to date with uv.lock …")
        with contextlib.suppress(StepError):
            _install()
            return
    _say(f"Making .venv with Python {_version()}; the first time this takes about a minute …")
    _remove_venv()
    _run(sys.executable, "-I", "-m", "venv", VENV)
    _install()


def _install() -> None:
    STAMP.unlink(missing_ok=True)
    _install_uv()
    REQUIREMENTS.write_text(_run(UV, "export", "--frozen", "--offline", "--all-extras", "--no-emit-project", "-q"))
    _install_requirements()
    _run(UV, "pip", "install", "-q", "--python", PYTHON, "--offline", "--no-deps", "--no-build-isolation", "-e", ROOT)
    STAMP.write_text(json.dumps({"root": str(ROOT), "python": _version_of_venv(), "contents": _contents()}))


def _install_uv() -> None:
    requirement = uv_requirement()
    with contextlib.suppress(StepError):
        if _run(UV, "--version").split()[1] == requirement.split()[0].removeprefix("uv=="):
            return
    REQUIREMENTS.write_text(requirement)
    _pip("install", "-q", "--no-deps", "--require-hashes", "-r", REQUIREMENTS)


def uv_requirement() -> str:
    """The locked uv with its hashes, as a line of a requirements file."""
    packages = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    uv = next(package for package in packages if package["name"] == "uv")
    return " ".join([f"uv=={uv['version']}", *(f"--hash={file['hash']}" for file in [*uv["wheels"], uv["sdist"]])])


def _install_requirements() -> None:
    try:
        _run(UV, "pip", "sync", "-q", "--python", PYTHON, "--require-hashes", REQUIREMENTS, **_index_of_pip())
    except StepError:  # pip knows proxies, certificates and find-links that uv is not told of
        _pip("install", "-q", "--no-deps", "--require-hashes", "-r", REQUIREMENTS)


def _index_of_pip() -> dict[str, str]:
    """The index pip is configured for, as uv's environment variable, unless uv has its own."""
    if os.environ.keys() & {"UV_DEFAULT_INDEX", "UV_INDEX_URL"}:
        return {}
    configured = re.findall(r"^\S+\.index-url=(.*)$", _pip("config", "list"), re.MULTILINE)
    return {"UV_DEFAULT_INDEX": shlex.split(configured[-1])[0]} if configured else {}


def _version_of_venv() -> str:
    return _run(PYTHON, "-I", "-c", "import sys; print('%d.%d' % sys.version_info[:2], end='')")


def _remove_venv() -> None:
    if VENV.is_symlink():
        raise StepError(f"{VENV} is a symbolic link; remove it and run again")
    shutil.rmtree(VENV, ignore_errors=True)
    if VENV.exists():
        raise StepError(f"{VENV} cannot be removed; remove it and run again")


def _pip(*arguments: str | Path) -> str:
    return _run(PYTHON, "-I", "-m", "pip", "--disable-pip-version-check", *arguments)


def _run(*command: str | Path, **environment: str) -> str:
    kept = {name: value for name, value in os.environ.items() if name not in REDIRECTIONS}
    try:
        done = subprocess.run(  # noqa: S603 - the commands are the ones above
            command,
            cwd=ROOT,
            env=kept | _cache() | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError as error:
        raise StepError(f"{command[0]} does not run: {error}") from error
    if done.returncode:
        output = "\n".join((done.stdout + done.stderr).strip().splitlines()[-20:])
        raise StepError(f"{shlex.join(map(str, command))} ended with {done.returncode}:\n{output}")
    return done.stdout


def _cache() -> dict[str, str]:
    """Nothing where uv can keep its cache, else that it must do without."""
    folder = Path(os.environ.get("UV_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return {"UV_NO_CACHE": "1"}
    return {} if os.access(folder, os.W_OK) else {"UV_NO_CACHE": "1"}


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
