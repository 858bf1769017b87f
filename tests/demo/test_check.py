from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

COMMAND = str(Path(sys.executable).with_name("lead-orchestrator"))


def run_cli(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("DATABASE_", "REDIS_"))}
    return subprocess.run(  # our own command
        [COMMAND, *arguments],
        cwd=cwd,
        env={**clean, **environment},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def last_json(result: subprocess.CompletedProcess[str]) -> Any:
    return json.loads(result.stdout.strip().splitlines()[-1])


@pytest.mark.timeout(660)
def test_demo_check_goes_from_a_file_to_a_text_and_by_chat_to_a_booked_time_and_leaves_nothing(tmp_path: Path) -> None:
    result = run_cli("demo", "--check", cwd=tmp_path)
    report = last_json(result)
    assert result.returncode == 0, result.stderr[-2000:]
    assert report["ok"] is True
    assert report["quoteToFirstTextMs"] > 0
    assert report["fileToFirstTextMs"] > report["quoteToFirstTextMs"]
    assert (report["locations"], report["leadSource"]) == (3, "SHOPMONKEY_WEBHOOK")
    assert report["chatBookedMs"] > 0
    assert report["api"].startswith("http://127.0.0.1:")
    assert list(tmp_path.iterdir()) == []
    assert "55501" not in result.stderr


@pytest.mark.timeout(660)
def test_each_command_says_what_is_wrong(tmp_path: Path) -> None:
    """All at once: most of the time each of them starts."""
    with ThreadPoolExecutor() as pool:
        half_given = {"DATABASE_URL": "postgresql://lead_app:x@127.0.0.1:1/none"}
        demo = pool.submit(run_cli, "demo", "--check", cwd=tmp_path, **half_given)
        serve = pool.submit(run_cli, "serve", cwd=tmp_path, SCHEDULER_INTERVAL_MS="-5")
        sandbox = pool.submit(run_cli, "sandbox", cwd=tmp_path, ENVIRONMENT="production")

    assert [run.result().returncode for run in (demo, serve, sandbox)] == [1, 1, 1]
    assert last_json(demo.result())["ok"] is False
    assert "DATABASE_VISITOR_URL" in last_json(demo.result())["error"]
    assert "SCHEDULER_INTERVAL_MS" in serve.result().stderr
    assert "-5" in serve.result().stderr
    assert "Traceback" not in serve.result().stderr
    assert "production needs" in sandbox.result().stderr
