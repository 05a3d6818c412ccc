"""Fixtures of what an earlier version wrote: a copy to work on, and the command line."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ssgan.cli import main
from ssgan.cli.screen import console

WRITTEN = Path(__file__).parent / "written-by-0589714"


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of all that 0589714 wrote; it is the working directory, as it was then."""
    copy = shutil.copytree(WRITTEN, tmp_path / "written")
    monkeypatch.chdir(copy)
    return copy


@pytest.fixture
def ssgan(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., str]]:
    """Run `ssgan ARGUMENTS`, which must succeed, and return what it prints."""
    console.cache_clear()

    def run(*arguments: str) -> str:
        with pytest.raises(SystemExit) as stop:
            main(list(arguments))
        captured = capsys.readouterr()
        assert not stop.value.code, captured.err
        return captured.out

    yield run
    console.cache_clear()
