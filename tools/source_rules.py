"""Rules of the house that are read off the syntax tree of one file.

A rule is a function from a parsed file to (line, message) pairs; `RULES` says which files each one is for.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

__all__ = ["RULES", "Finding", "Rule", "findings_in"]

Hits = Iterable[tuple[int, str]]

# Folders end in a slash. A feature's own `repository.py`, or the modules of its `repository/`, need no entry.
SQL_ALLOWED = {
    "platform/bench/": "the named peers and floors are hand-written statements",
    "platform/chaos/": "what was lost or doubled is counted in the database itself",
    "platform/clock.py": "the time is the database's",
    "platform/db.py": "how a connection is checked and set up",
    "platform/embedded/": "sets up the server, before there is a schema",
    "platform/graphql/planner/": "it compiles operations into statements",
    "platform/migrations/": "they make the schema",
    "platform/tenancy/audit.py": "it reads the catalog to prove the policies",
    "platform/tenancy/audit/": "it reads the catalog to prove the policies",
    "platform/tenancy/lookups.py": "the functions that answer before the tenant is known",
    "platform/tenancy/policies.py": "the policy templates",
    "platform/tenancy/roles.py": "the roles and their grants",
    "platform/tenancy/sessions.py": "a transaction's settings are set in SQL",
}
CLOCK_ALLOWED = {
    "platform/bench/": "it measures",
    "platform/chaos/": "it measures",
    "platform/clock.py": "it is the clock",
    "platform/demo.py": "it measures the first text",
    "platform/demo/": "it measures the first text",
    "platform/embedded/": "it waits for servers to start",
    "platform/log.py": "events carry real time",
    "platform/sandbox/": "the outside world has a clock of its own",
    "platform/tenancy/access.py": "tokens expire in real time",
    "platform/graphql/budgets.py": "rate limits use real time",
    "platform/tenancy/tokens.py": "tokens expire in real time",
    "platform/tenancy/outside/verifier.py": "tokens expire in real time",
    "platform/webhooks/": "the edge: a signature's age is real time, and it is passed down from here",
}

STATEMENTS = {"select", "insert", "update", "delete", "text"}
RAW_SQL = re.compile(
    r"""\bSELECT\b.+\bFROM\b | \bINSERT\s+INTO\b | \bUPDATE\s+\S+\s+SET\b | \bDELETE\s+FROM\b
    | (?i:^\s*(?:select\b.+\bfrom\b | select\s+[\w.]+\( | insert\s+into\b | update\s+\S+\s+set\b | delete\s+from\b))""",
    re.DOTALL | re.VERBOSE,
)
CLOCK_READS = {
    "datetime.date.today",
    "datetime.datetime.now",
    "datetime.datetime.today",
    "datetime.datetime.utcnow",
    "time.time",
    "time.time_ns",
}
PATCHES = {"mock.patch", "unittest.mock.patch", "monkeypatch.setattr", "monkeypatch.delattr"}
SLEEPS = {"time.sleep", "asyncio.sleep", "anyio.sleep"}
SKIPS = {
    "pytest.importorskip",
    "pytest.mark.skip",
    "pytest.mark.skipif",
    "pytest.mark.xfail",
    "pytest.skip",
    "pytest.xfail",
    "unittest.expectedFailure",
    "unittest.skip",
    "unittest.skipIf",
    "unittest.skipUnless",
}
# Functions that wait for a condition, and fakes whose slowness is what the test is about.
MAY_SLEEP = re.compile(r"^_*(wait|until|eventually|slow|stall|trickle)")
BARE_IGNORE = re.compile(
    r"#\s*(?:noqa|type:\s*ignore|pyright:\s*ignore)\b(?::?\s*[A-Z0-9, ]+|\[[^]]*\])?\s*(?=#\s*noqa|#\s*type|$)"
)


@dataclass(frozen=True)
class Finding:
    path: str
    line: int
    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule}: {self.message}"


@dataclass(frozen=True)
class Source:
    """A parsed file; `names` maps what its imports bind to the full name: {"sa": "sqlalchemy"}."""

    text: str
    tree: ast.Module
    names: dict[str, str]

    @classmethod
    def parse(cls, text: str) -> Source:
        tree = ast.parse(text)
        return cls(text, tree, dict(_imports(tree)))

    def full_name(self, node: ast.AST) -> str | None:
        """`sa.select` of `import sqlalchemy as sa` is "sqlalchemy.select"; None for anything but a dotted name."""
        if isinstance(node, ast.Name):
            return self.names.get(node.id, node.id)
        if isinstance(node, ast.Attribute):
            owner = self.full_name(node.value)
            return owner and f"{owner}.{node.attr}"
        return None

    def uses(self, wanted: Collection[str]) -> Iterator[tuple[ast.expr, str]]:
        """Each place where one of the full names stands."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Name | ast.Attribute):
                name = self.full_name(node)
                if name and name in wanted:
                    yield node, name


@dataclass(frozen=True)
class Rule:
    name: str
    applies_to: Callable[[str], bool]
    check: Callable[[Source], Hits]


def findings_in(path: str, text: str) -> Iterator[Finding]:
    """What the rules find in one Python file; `path` is relative to the project, with slashes."""
    rules = [rule for rule in RULES if rule.applies_to(path)]
    if not rules:
        return
    source = Source.parse(text)
    for rule in rules:
        for line, message in rule.check(source):
            yield Finding(path, line, rule.name, message)


def _imports(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (
                (a.asname or a.name.partition(".")[0], a.name if a.asname else a.name.partition(".")[0])
                for a in node.names
            )
        elif isinstance(node, ast.ImportFrom):
            yield from ((a.asname or a.name, f"{node.module}.{a.name}") for a in node.names)


def _sql(source: Source) -> Hits:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call):
            package, _, function = (source.full_name(node.func) or "").rpartition(".")
            if function in STATEMENTS and package.partition(".")[0] == "sqlalchemy":
                yield node.lineno, f"{function}() belongs into a repository.py"
    for line, string in _strings(source.tree):
        if RAW_SQL.search(string):
            yield line, f"SQL belongs into a repository.py: {' '.join(string.split())[:60]!r}"


def _strings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Every string but docstrings; of an f-string, its fixed parts joined."""
    inner = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    ignored = inner | {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if id(node) in ignored:
            continue
        if isinstance(node, ast.JoinedStr):
            yield node.lineno, "x".join(str(part.value) for part in node.values if isinstance(part, ast.Constant))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def _clock(source: Source) -> Hits:
    for node, name in source.uses(CLOCK_READS):
        yield node.lineno, f"{name} reads the machine's clock; take the time as an argument or from the database"


def _patching(source: Source) -> Hits:
    for node, name in source.uses(PATCHES):
        yield node.lineno, f"{name} replaces code under test; pass the other thing in, or let a fake speak the wire"
    for argument in (node for node in ast.walk(source.tree) if isinstance(node, ast.arg) and node.arg == "mocker"):
        yield argument.lineno, "mocker replaces code under test; pass the other thing in, or let a fake speak the wire"


def _sleeping(source: Source) -> Hits:
    excused = {id(node) for waiting in ast.walk(source.tree) if _may_sleep(waiting) for node in ast.walk(waiting)}
    for call in (node for node in ast.walk(source.tree) if isinstance(node, ast.Call)):
        name = source.full_name(call.func)
        yields = len(call.args) == 1 and isinstance(call.args[0], ast.Constant) and call.args[0].value == 0
        if name in SLEEPS and id(call) not in excused and not yields:
            yield call.lineno, f"{name} guesses how long it takes; wait for the condition, with a limit"


def _may_sleep(node: ast.AST) -> bool:
    """`while not condition: sleep`, a function that says it waits, or a fake that is slow on purpose."""
    if isinstance(node, ast.While):
        return not isinstance(node.test, ast.Constant)
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and bool(MAY_SLEEP.match(node.name))


def _skipping(source: Source) -> Hits:
    for node, name in source.uses(SKIPS):
        yield node.lineno, f"{name}: a test runs or it is deleted"


def _bare_ignores(source: Source) -> Hits:
    for number, line in enumerate(source.text.splitlines(), 1):
        if BARE_IGNORE.search(line):
            yield number, "an ignored finding says why: `# noqa: X - reason`, `# type: ignore[x]  # reason`"


def _within(folder: str, allowed: Mapping[str, str]) -> Callable[[str], bool]:
    def applies(path: str) -> bool:
        listed = any(path.startswith(entry) if entry.endswith("/") else path == entry for entry in allowed)
        return path.startswith(folder) and not listed

    return applies


def _is_no_repository(path: str) -> bool:
    parts = PurePosixPath(path)
    return parts.name != "repository.py" and "repository" not in parts.parts and _within("platform/", SQL_ALLOWED)(path)


RULES = (
    Rule("sql-outside-repository", _is_no_repository, _sql),
    Rule("clock-not-passed", _within("platform/", CLOCK_ALLOWED), _clock),
    Rule("patching", _within("tests/", {}), _patching),
    Rule("sleeping", _within("tests/", {}), _sleeping),
    Rule("skipping", _within("tests/", {}), _skipping),
    Rule("ignore-without-reason", lambda _path: True, _bare_ignores),
)
