"""`ssgan label`: from a folder of pictures to a CSV of answers that training reads."""

import csv
import io
import json
import socket
from pathlib import Path

import pytest

from ssgan.base.lease import hold
from ssgan.base.storage import Folder
from ssgan.data.dataset import Dataset
from ssgan.data.store import prepare
from ssgan.experiment.loading import load_experiment
from tests.helpers.pictures import draw_heap


@pytest.fixture
def shapes(tmp_path: Path) -> dict[str, str]:
    """The shapes of the pictures in the folder `heap`; known.csv knows them, in another folder."""
    known = draw_heap(tmp_path / "heap", 30, size=16)
    (tmp_path / "elsewhere").mkdir()
    lines = [f"{name},{shape}" for name, shape in known.items()]
    Path("elsewhere/known.csv").write_text("\n".join(["file,shape", *lines, ""]))
    return known


def answers(file: str) -> list[list[str]]:
    with Path(file).open(newline="") as stream:
        return list(csv.reader(stream))


def test_a_heap_becomes_a_data_set_by_init_and_answers(
    ssgan, shapes: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ssgan("init", "heap", "--label", "shape").code == 0
    early = ssgan("data", "prepare", "heap.yaml")  # as training does first
    assert early.code == 2
    assert "run `ssgan label FILE.yaml`, which writes your answers to it" in early.err
    monkeypatch.setattr("sys.stdin", io.StringIO("n circle\nn ring\n1\nx\n2\n?\nu\n"))
    done = ssgan("label", "heap.yaml", "--no-browser")
    assert done.code == 0, done.err
    assert "heap.csv: shape: circle: 2, ring: 2, none of these: 1; next: " in done.out
    assert done.out.rstrip().endswith("ssgan train heap.yaml")
    rows = answers("heap.csv")
    assert rows[0] == ["file", "shape"]
    assert [row[1] for row in rows[1:]] == ["circle", "ring", "circle", "none of these", "ring"]
    experiment = load_experiment("heap.yaml")
    dataset = Dataset.load(experiment.data, experiment.codes, prepare(experiment.data.source))
    assert dataset.space.supervised[0].classes == ("circle", "ring")
    assert len(dataset.budget) == 5
    assert dataset.budget.counts == {"shape": {"circle": 2, "ring": 2, "none of these": 1}}
    assert len(dataset.train) == 30
    assert [*Path().glob(".*")] == []


def test_a_folder_alone_is_answered_into_the_csv_that_init_finds(
    ssgan, shapes: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("n circle\nn ring\n1\n2\nx\n"))
    done = ssgan("label", "heap", "--label", "shape", "--no-browser", "--json")
    assert done.code == 0, done.err
    counts = {"circle": 2, "ring": 2, "none of these": 1}
    assert json.loads(done.out)["answers"] == {"shape": counts}
    assert ssgan("init", "heap").code == 0
    experiment = load_experiment("heap.yaml")
    assert experiment.codes.supervised == ("shape",)
    assert experiment.data.source.foreign == ("none of these",)


def test_known_labels_answer_for_experiments(ssgan, shapes: dict[str, str]) -> None:
    known = ("--answers", "elsewhere/known.csv:shape")
    done = ssgan("label", "heap", "--label", "shape", *known, "--count", "12")
    assert done.code == 0, done.err
    rows = answers("heap.csv")[1:]
    assert len(rows) == 12
    assert all(shapes[name] == label for name, label in rows)
    assert "read right, by estimate: " in done.out
    Path("other.csv").write_text("")
    again = ssgan(
        "label", "heap", "--label", "shape", *known, "--count", "12", "--csv", "other.csv"
    )
    assert again.code == 0, again.err
    assert answers("other.csv")[1:] == rows


def test_a_second_process_is_told_who_writes_the_file(ssgan, shapes: dict[str, str]) -> None:
    lease = Path(".heap.csv.lease").absolute()
    with hold(Folder(lease)):
        done = ssgan("label", "heap", "--no-browser")
    assert done.code == 2
    assert (
        f"the file of answers {Path('heap.csv').absolute()} is being written by process" in done.err
    )
    assert not Path("heap.csv").exists()


def test_a_port_that_is_taken_is_an_error_before_any_work(ssgan, shapes: dict[str, str]) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        done = ssgan("label", "heap", "--port", other.getsockname()[1])
    assert done.code == 2
    assert "choose another --port" in done.err
    assert not Path(".heap.csv.lease").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["digits.yaml"], "data.source.kind=digits"),
        (["nowhere"], "there is no folder nowhere"),
        (["heap", "--count", "3"], "--count has no effect"),
        (["heap", "--no-browser", "--port", "8000"], "--port has no effect"),
        (["heap", "--answers", "shape"], "give FILE.csv:COLUMN"),
        (["heap", "--label", "a=3"], "give NAME, or NAME=LOW..HIGH"),
        (["heap", "--csv", "nowhere/a.csv"], "there is no folder"),
    ],
)
def test_what_cannot_work_is_said(
    ssgan, shapes: dict[str, str], arguments: list[str], message: str
) -> None:
    Path("digits.yaml").write_text("preset: digits\n")
    done = ssgan("label", *arguments)
    assert done.code == 2
    assert message in done.err


def test_known_labels_may_say_none_of_these(ssgan, shapes: dict[str, str]) -> None:
    foreign = ("cross", "square")
    words = {name: "none of these" if of in foreign else of for name, of in shapes.items()}
    lines = [f"{name},{word}" for name, word in words.items()]
    Path("elsewhere/known.csv").write_text("\n".join(["file,shape", *lines]))
    known = ("--label", "shape", "--answers", "elsewhere/known.csv:shape", "--count", "20")
    done = ssgan("label", "heap", *known)
    assert done.code == 0, done.err
    rows = answers("heap.csv")[1:]
    assert [word for _, word in rows] == [words[name] for name, _ in rows]
    assert "none of these" in {word for _, word in rows}
    assert "read right, by estimate: " in done.out
