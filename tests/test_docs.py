from __future__ import annotations

from pathlib import Path

from typer.main import get_command

from lead_orchestrator.cli import app
from lead_orchestrator.settings import Settings

ROOT = Path(__file__).parent.parent


def test_every_setting_is_documented() -> None:
    table = (ROOT / "docs" / "settings.md").read_text()
    missing = [name.upper() for name in Settings.model_fields if f"`{name.upper()}`" not in table]
    assert missing == []


def test_every_command_is_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    commands = getattr(get_command(app), "commands", {})
    assert [name for name in commands if f"`{name}" not in readme and f" `{name}`" not in readme] == []
