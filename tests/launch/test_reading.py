"""Labels for the rest: what is read, how it is calibrated, and how the table comes to be."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from ssgan.base.errors import BadInput
from ssgan.data.named_images import NamedImages, named_images
from ssgan.data.sources import DigitsSource
from ssgan.data.store import Store
from ssgan.evaluation import metrics
from ssgan.experiment.loading import with_values
from ssgan.export.format import save_export
from ssgan.export.generator import NamedGenerator
from ssgan.launch import reading
from ssgan.launch.loaded_run import LoadedRun, load_run
from ssgan.launch.outcome import export
from ssgan.launch.reading import Reader, facts_file, write_readings
from tests.helpers.runs import short_run, small

GAUSSIAN = ("codes.posterior=gaussian", "codes.unsupervised=[{name: lot, size: 2}, {name: style}]")


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory, digits_store: Store) -> LoadedRun:
    """A run on digits that has learned a little."""
    place = tmp_path_factory.mktemp("runs") / "digits"
    return load_run(short_run(place, small(*GAUSSIAN), 60).location)


def test_a_reader_reads_what_the_export_reads(loaded: LoadedRun, tmp_path: Path) -> None:
    reader = Reader(loaded)
    images = loaded.dataset.train.take(torch.arange(40))
    read = reader.read(images)
    generator = NamedGenerator.load(save_export(tmp_path / "export", export(loaded)))
    expected = generator.read(images.permute(0, 2, 3, 1).numpy())
    named = generator.name_values(read.value)
    assert named["digit"] == expected["digit"].values
    assert named["lot"] == expected["lot"].values
    assert named["style"] == pytest.approx(expected["style"].values, abs=1e-5)
    # What labels know nothing of is as sure as Q says; the other is calibrated.
    for k, name in ((1, "lot"), (2, "style")):
        assert read.confidence[:, k].numpy() == pytest.approx(expected[name].confidence, abs=1e-5)
    (found,) = reader.calibrations
    assert (found.fitted, found.measured, reader.labels_from) == (250, 250, "the test split")
    assert found.scale != pytest.approx(1, abs=0.01)
    assert found.after is not None
    assert found.before is not None
    assert found.after.nll < found.before.nll
    assert not torch.allclose(read.confidence[:, 0], torch.tensor(expected["digit"].confidence))
    assert reader.certain() == [True, True, True]


def test_a_reader_reads_as_right_as_an_evaluation_says(loaded: LoadedRun) -> None:
    take, labels = loaded.dataset.held_out()
    rows = torch.arange(len(labels))
    read = Reader(loaded).read(take(rows)).value
    codes = loaded.dataset.space.supervised
    all_images = loaded.experiment.model_copy(
        update={
            "evaluation": loaded.experiment.evaluation.model_copy(update={"held_out_images": 500})
        }
    )
    evaluated = loaded.evaluate(all_images, None, ("raw",)).metrics["q_ss_accuracy"]
    assert metrics.accuracy(labels, read, codes)["digit"] == pytest.approx(evaluated)


def test_a_table_of_all_images_and_how_it_was_made(loaded: LoadedRun, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    file = tmp_path / "read.csv"
    facts = write_readings(
        loaded, DigitsSource().open(), file, progress=lambda *told: seen.append(told)
    )
    with file.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["file"] for row in rows] == [f"row {k}" for k in range(1297)]
    assert list(rows[0])[1:] == [
        *("digit", "digit confidence", "lot", "lot confidence", "style", "style confidence")
    ]
    whole = Reader(loaded).read(loaded.dataset.train.take(torch.arange(1297)))
    assert [row["digit"] for row in rows] == [str(int(value)) for value in whole.value[:, 0]]
    confidence = [float(row["digit confidence"]) for row in rows]
    assert confidence == pytest.approx(whole.confidence[:, 0].tolist(), abs=1e-4)
    assert seen[-1] == (1297, 1297)
    written = json.loads(facts_file(file).read_text())
    assert written == facts
    assert written["codes"][0]["after"]["nll"] < written["codes"][0]["before"]["nll"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["read.csv", "read.csv.json"]
    again = tmp_path / "again.csv"
    write_readings(loaded, DigitsSource().open(), again)
    assert again.read_bytes() == file.read_bytes()


def test_a_table_that_is_there_is_refused_or_moved_aside(
    loaded: LoadedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, file = DigitsSource().open(), tmp_path / "labels.csv"
    file.write_text("my own")
    with pytest.raises(BadInput, match=r"labels\.csv is there already.*--replace"):
        write_readings(loaded, source, file)
    assert file.read_text() == "my own"
    write_readings(loaded, source, file, replace=True)
    write_readings(loaded, source, file, replace=True)
    assert (tmp_path / "labels.csv.1").read_text() == "my own"
    assert (tmp_path / "labels.csv.2").read_bytes() == file.read_bytes()
    assert (tmp_path / "labels.csv.json.1").read_bytes() == facts_file(file).read_bytes()

    late = tmp_path / "late.csv"  # another process writes it meanwhile
    monkeypatch.setattr(Reader, "certain", lambda self: [late.write_text("x") > 0] * 3)
    with pytest.raises(BadInput, match="is there already"):
        write_readings(loaded, source, late)
    assert late.read_text() == "x"
    assert not facts_file(late).exists()


def test_a_reading_that_fails_leaves_nothing(
    loaded: LoadedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_off(source: object) -> Iterator[NamedImages]:
        yield next(parts)
        raise BadInput("a picture of another size")

    source = DigitsSource().open()
    parts = named_images(source)
    monkeypatch.setattr(reading, "named_images", break_off)
    with pytest.raises(BadInput, match="another size"):
        write_readings(loaded, source, tmp_path / "read.parquet")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("read.txt", "must end in .csv or .parquet"),
        ("nowhere/read.csv", "there is no folder"),
        ("folder.csv", "is a folder"),
    ],
)
def test_targets_that_cannot_be_written(tmp_path: Path, name: str, told: str) -> None:
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(BadInput, match=told):
        reading.check_target(tmp_path / name, replace=True)


@pytest.mark.parametrize(
    ("overrides", "reasons"),
    [
        ({"data.labels": 0}, ["no label was used to train it"]),
        ({"data.labels": 0, "codes.supervised": []}, []),
    ],
)
def test_infogan_is_read_as_it_is(
    tmp_path: Path, digits_store: Store, overrides: dict[str, Any], reasons: list[str]
) -> None:
    run = short_run(tmp_path / "run", with_values(small(), overrides), 1)
    infogan = load_run(run.location)
    facts = write_readings(infogan, DigitsSource().open(), tmp_path / "read.csv")
    assert facts["labels_from"] is None
    for code, reason in zip(facts["codes"], reasons, strict=True):
        assert reason in code["reason"]
    header = (tmp_path / "read.csv").read_text().partition("\n")[0]
    supervised = '"digit","digit confidence",' if reasons else ""
    assert header == f'"file",{supervised}"style_1","style_2"'  # mse says nothing of how sure
