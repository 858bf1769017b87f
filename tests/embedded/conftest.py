from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from lead_orchestrator.embedded import Embedded, start_embedded


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    """A data folder that is not there yet; its private folder goes with it, wherever it is."""
    folder = tmp_path / "local"
    yield folder
    _remove_private_folder(folder)


def _remove_private_folder(folder: Path) -> None:
    private = (folder / "postgres").resolve()
    for path in (private, private.with_name(f"{private.name}.old")):
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def shared_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("embedded") / "local"


@pytest.fixture(scope="module")
def services(shared_dir: Path) -> Iterator[Embedded]:
    """Running services that a module's tests only look at."""
    with start_embedded(shared_dir, durable=False, ephemeral=True) as running:
        yield running
