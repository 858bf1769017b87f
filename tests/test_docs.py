from __future__ import annotations

import re
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


def test_every_decision_has_a_number_of_its_own() -> None:
    records = sorted((ROOT / "docs" / "adr").glob("*.md"))
    numbers = [int(record.name[:4]) for record in records]

    assert numbers == list(range(1, len(records) + 1))
    for number, record in zip(numbers, records, strict=True):
        assert re.match(rf"# (?:ADR )?0*{number}\b", record.read_text()), record.name


def test_no_link_between_documents_is_dead() -> None:
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    links = [(page, link) for page in documents for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())]

    assert len(links) > 10
    assert [(page.name, link) for page, link in links if not (page.parent / link).exists()] == []
