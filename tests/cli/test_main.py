"""The whole command: help at once, exit codes, results alone on stdout."""

import subprocess
import sys
from pathlib import Path

import click
import pytest

from ssgan.cli import main
from ssgan.cli import ssgan as group

HEAVY = ("torch", "ray", "mlflow", "pydantic", "matplotlib", "numpy", "pandas", "pyarrow", "jinja2")


def test_help_loads_nothing_heavy_and_lists_the_verbs_in_order() -> None:
    program = (
        "import sys; from ssgan.cli import main\n"
        "try: main(['--help'])\n"
        f"finally: print([name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
    places = [done.stdout.index(f"\n  {verb} ") for verb in ("init", "data", "train", "sample")]
    assert places == sorted(places)


@pytest.mark.parametrize("name", [*group.commands])
def test_every_verb_has_help_with_examples(name: str) -> None:
    command = group.commands[name]
    verbs = command.commands.values() if isinstance(command, click.Group) else [command]
    for verb in verbs:
        context = click.Context(verb, info_name=verb.name)
        text = verb.get_help(context)
        assert text.count("ssgan ") >= 2, f"{name} {verb.name} shows no examples"
        assert max(map(len, text.splitlines())) <= 100


def test_module_runs_as_the_program(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ssgan", "data", "show", "digitz"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert "no preset 'digitz'; did you mean 'digits'?" in done.stderr
    assert "Traceback" not in done.stderr


def test_wrong_usage_is_bad_input(ssgan) -> None:
    for arguments in (["fly"], ["train", "--speed", "9"], ["sample"], ["data", "show"]):
        done = ssgan(*arguments)
        assert done.code == 2
        assert "Usage" in done.err or "No such command" in done.err
        assert done.out == ""


def test_unexpected_errors_fail_with_a_traceback(ssgan, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object, **named: object) -> None:
        raise RuntimeError("wheels came off")

    monkeypatch.setattr("ssgan.export.NamedGenerator.load", broken)
    done = ssgan("sample", "somewhere")
    assert done.code == 1
    assert "Traceback" in done.err
    assert "wheels came off" in done.err


def test_an_interrupt_fails_without_a_traceback(ssgan, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: object, **named: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ssgan.export.NamedGenerator.load", interrupted)
    done = ssgan("sample", "somewhere")
    assert (done.code, done.err.strip()) == (1, "interrupted")


def test_version() -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
