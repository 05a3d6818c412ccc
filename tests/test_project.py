"""Truths about the project itself: what is packaged, what is pinned, what the pages promise."""

import html
import itertools
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from ssgan.base import extras
from ssgan.cli import ssgan
from ssgan.experiment.loading import load_experiment, preset_names
from ssgan.tuning.search import Search

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = PYPROJECT["project"]["optional-dependencies"]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def console_lines(program: str) -> list[tuple[str, list[str]]]:
    """Find the commands that README and docs tell users to type: (page, words)."""
    found = []
    for page in PAGES:
        text = page.read_text().replace("\\\n", " ")
        for block in re.findall(r"```console\n(.*?)```", text, flags=re.DOTALL):
            for line in re.findall(r"^\$ (.*)$", block, flags=re.MULTILINE):
                words = shlex.split(line, comments=True)
                while words and "=" in words[0]:  # variables before the command
                    words = words[1:]
                if words and Path(words[0]).name == program:
                    found.append((page.name, words[1:]))
    return found


def test_every_data_file_of_the_package_is_packaged() -> None:
    patterns = PYPROJECT["tool"]["setuptools"]["package-data"]["ssgan"]
    package = ROOT / "ssgan"
    packaged = {file for pattern in patterns for file in package.glob(pattern)}
    present = {
        file
        for file in package.rglob("*")
        if file.is_file() and file.suffix != ".py" and "__pycache__" not in file.parts
    }
    assert present - packaged == set()
    assert package / "py.typed" in packaged


@pytest.mark.parametrize("preset", preset_names())
def test_preset_is_packaged_and_valid(preset: str) -> None:
    assert load_experiment(preset).name == preset


def test_constraints_pin_every_dependency_within_its_range() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    versions = {}
    for pin in pins:
        (specifier,) = pin.specifier
        assert specifier.operator == "=="
        assert pin.url is None
        versions[pin.name.lower()] = Version(specifier.version)
    for text in [*PYPROJECT["project"]["dependencies"], *itertools.chain(*EXTRAS.values())]:
        needed = Requirement(text)
        assert versions[needed.name.lower()] in needed.specifier, text


@pytest.mark.parametrize(
    ("extra", "asked"),
    [("train", extras.TRAIN), ("neighbors", extras.NEIGHBORS), ("onnx", extras.ONNX)],
)
def test_an_extra_installs_the_modules_that_are_asked_for(
    extra: str, asked: tuple[str, ...]
) -> None:
    modules = {"markdown_it_py": "markdown_it", "scikit_learn": "sklearn", "faiss_cpu": "faiss"}
    names = (Requirement(text).name.replace("-", "_") for text in EXTRAS[extra])
    assert {modules.get(name, name) for name in names} == {*asked}


@pytest.mark.parametrize("file", ["cluster.yaml", "docs/clusters/local.yaml", "Makefile"])
def test_the_whole_system_is_installed_where_it_is_used(file: str) -> None:
    lines = re.findall(r"^.*pip install.*$", (ROOT / file).read_text(), flags=re.MULTILINE)
    assert lines
    assert all("[train" in line for line in lines)


def test_pages_name_make_targets_that_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, flags=re.MULTILINE))
    named = {
        target
        for page in PAGES
        for target in re.findall(r"(?:`|\$ )make ([a-z-]+)", page.read_text())
    }
    assert {"quickstart", "docs"} <= named
    assert named <= targets


@pytest.mark.parametrize(("page", "words"), console_lines("ssgan"))
def test_pages_show_commands_that_the_command_line_takes(page: str, words: list[str]) -> None:
    command: click.Command = ssgan
    while isinstance(command, click.Group):
        command, words = command.commands[words[0]], words[1:]
    context = command.make_context(command.name, list(words))  # raises on an unknown option
    assert context.params


def sent_lines() -> list[tuple[str, list[str]]]:
    """Find the commands of ssgan that pages let Ray start on a cluster: (page, words)."""
    verbs = {"tune/run.py": "search", "tune/paper.py": "reproduce"}
    sent = []
    for page, (command, *words) in console_lines("ray"):
        if command == "submit":
            program, dashes, *words = words[1:]
            assert dashes == "--"
            assert all(" " not in word for word in words)  # ray submit splits there
            sent.append((page, [verbs[program], *words]))
        if command == "exec":
            program, *words = words[1].split()
            assert program == "ssgan"
            sent.append((page, words))
    return sent


@pytest.mark.parametrize(("page", "words"), sent_lines())
def test_pages_send_commands_that_the_command_line_takes(page: str, words: list[str]) -> None:
    test_pages_show_commands_that_the_command_line_takes(page, words)
    for name, equals, value in (word.partition("=") for word in words):
        if name.startswith("search."):
            assert name.removeprefix("search.") in Search.model_fields
        elif equals:
            load_experiment("mnist", [f"{name}={value}"])  # raises on a field that is not there


@pytest.mark.parametrize(
    ("page", "words"),
    [
        (page, words)
        for page, words in console_lines("ssgan")
        if words[0] == "train"
        and not words[1].startswith("-")  # --resume names no preset
        and page != "extending.md"  # whose commands are run by test_extending.py
    ],
)
def test_pages_show_fields_that_exist(page: str, words: list[str]) -> None:
    overrides = [word for word in words[2:] if "=" in word and not word.startswith("-")]
    preset = words[1] if words[1] in preset_names() else preset_names()[0]
    assert load_experiment(preset, overrides).name == preset
    assert words[1].endswith(".yaml") or words[1] in preset_names()


def test_the_docs_list_every_package() -> None:
    table = (ROOT / "docs/architecture.md").read_text()
    rows = re.findall(r"^\| (`.*?) \|", table, flags=re.MULTILINE)
    listed = {name.rstrip("/") for row in rows for name in re.findall(r"`([a-z/]+)`", row)}
    package = ROOT / "ssgan"
    assert listed - {"data/sources"} == {file.parent.name for file in package.glob("*/__init__.py")}


@pytest.mark.parametrize(
    ("statement", "heavy"),
    [
        ("import ssgan", ("torch", "ray", "mlflow", "matplotlib")),
        ("import ssgan; ssgan.NamedGenerator", ("ray", "mlflow", "matplotlib")),
        ("import ssgan; ssgan.load_experiment", ("ray", "mlflow", "matplotlib")),
        ("import ssgan.training.loop", ("ray", "mlflow")),
    ],
)
def test_import_needs_nothing_heavy(statement: str, heavy: tuple[str, ...]) -> None:
    program = f"import sys; {statement}; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "[]"


def test_the_package_exports_what_it_lists() -> None:
    import ssgan as package

    for name in package.__all__:
        assert getattr(package, name) is getattr(package, name)
        assert name in dir(package)
    with pytest.raises(AttributeError, match="has no attribute 'trian'"):
        _ = package.trian


def python_imports() -> list[tuple[str, str]]:
    """Find what README and docs import from ssgan: (page, statement)."""
    found = []
    for page in PAGES:
        for block in re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.DOTALL):
            compile(block, page.name, "exec")
            statements = re.findall(r"^((?:from|import) ssgan.*)$", block, flags=re.MULTILINE)
            found += [(page.name, statement) for statement in statements]
    return found


@pytest.mark.parametrize(("page", "statement"), python_imports())
def test_pages_import_names_that_exist(page: str, statement: str) -> None:
    exec(statement, {})


def test_the_table_of_results_says_what_its_pages_say() -> None:
    results = ROOT / "docs" / "results"
    rows = [line for line in (results / "index.md").read_text().splitlines() if "{doc}" in line]
    linked = [re.findall(r"{doc}`([\w-]+)`", row)[-1] for row in rows]
    for page, row in zip(linked, rows, strict=True):
        found, text = row.split(" | ")[1], (results / f"{page}.md").read_text()
        for figure in re.findall(r"\d[\d,.]*\d|\d", found):
            assert re.search(rf"(?<![\d.]){re.escape(figure)}(?![\d])", text), (page, figure)
    reports = set(re.findall(r"{doc}`([\w-]+)`", (results / "paper.md").read_text()))
    assert {page.stem for page in results.glob("*.md")} == {"index", *linked, *reports}


def test_the_first_page_shows_sliders_of_this_version() -> None:
    shown = (ROOT / "docs" / "live" / "digits.html").read_text()
    for file in (ROOT / "ssgan" / "export" / "page").glob("*.[cj]s*"):
        assert file.read_text() in shown, (
            f"{file.name} has changed: `make quickstart`, then `ssgan export runs/quickstart "
            "--html docs/live/digits.html`"
        )


def test_ci_runs_lint_and_tests() -> None:
    script = ROOT / ".ci/run"
    assert script.stat().st_mode & 0o100
    assert re.findall(r"^make (\w+)$", script.read_text(), flags=re.MULTILINE) == ["lint", "test"]


def test_make_asks_for_a_python_that_is_new_enough(tmp_path: Path) -> None:
    made = subprocess.run(
        ["make", f"VENV={tmp_path}/venv", "PYTHON=/nowhere/python3", "lint"],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert made.returncode != 0
    assert "Python 3.11 or newer" in made.stderr
    assert "make PYTHON=" in made.stderr
    assert not (tmp_path / "venv").exists()


def test_make_takes_wheels_without_cuda_where_that_is_asked_for() -> None:
    index = "https://download.pytorch.org/whl/cpu"
    given = ("CPU", "TORCH_INDEX", "MAKEFLAGS", "MAKEOVERRIDES")  # to the make that runs the tests
    environment = {name: value for name, value in os.environ.items() if name not in given}
    for words, expected in (
        ([], None),
        (["CPU=1"], index),
        (["CPU=1", "TORCH_INDEX=https://own/cpu"], "https://own/cpu"),
    ):
        command = ["make", "--dry-run", "--always-make", "VENV=venv", "lint", *words]
        shown = subprocess.run(
            command, capture_output=True, text=True, cwd=ROOT, check=True, env=environment
        )
        assert re.findall(r"--extra-index-url (\S+)", shown.stdout) == [expected][: bool(expected)]


def test_documentation_builds_without_a_warning(tmp_path: Path) -> None:
    built = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "-q", "-b", "html", "docs", str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert built.stderr == ""
    pages = [page for page in (ROOT / "docs").rglob("*.md") if "_build" not in page.parts]
    for page in pages:  # Sphinx writes files of its own (search.html, genindex.html) over a page
        title = page.read_text().partition("\n")[0].removeprefix("# ")
        made = (tmp_path / page.relative_to(ROOT / "docs")).with_suffix(".html").read_text()
        shown = re.search(r"<h1>(.*?)<a ", made)
        assert shown is not None, page.name
        assert html.unescape(shown[1]).replace("’", "'") == title, page.name
    assert len(pages) > 20
    assert "objective.lambda2" in (tmp_path / "configuration.html").read_text()
    assert "ssgan track sync" in (tmp_path / "command-line.html").read_text()


def test_the_package_shows_its_plan_in_a_listing() -> None:
    package = ROOT / "ssgan"
    listed = {entry.name for entry in package.iterdir() if entry.name != "__pycache__"}
    files = {name for name in listed if (package / name).is_file()}
    assert files == {"__init__.py", "__main__.py", "py.typed"}
    assert len(listed - files) <= 20
    layers = PYPROJECT["tool"]["importlinter"]["contracts"][0]["layers"]
    assert set(layers) == listed - files | {"__main__"}


@pytest.mark.parametrize("folder", ["ssgan", "benchmarks", "tune"])
def test_files_can_be_read_in_one_sitting(folder: str) -> None:
    lengths = {
        str(file.relative_to(ROOT)): len(file.read_text().splitlines())
        for file in (ROOT / folder).rglob("*.py")
    }
    assert lengths
    assert {file: length for file, length in lengths.items() if length > 400} == {}


def test_test_folders_mirror_the_package() -> None:
    package, tests = ROOT / "ssgan", ROOT / "tests"
    own = {"benchmarks", "chaos", "compatibility", "helpers", "integration", "multihost"}
    folders = {entry.name for entry in tests.iterdir() if (entry / "__init__.py").is_file()}
    assert folders - own <= {entry.name for entry in package.iterdir() if entry.is_dir()}
