"""The program on what samples teach: what it measures and when, and the page of the lines."""

from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock
from PIL import Image

from benchmarks import few_labels, teaches
from benchmarks.few_labels_lines import Line, add_line, read_lines
from benchmarks.heaps import source_fields
from benchmarks.teaches_page import DATA, PARTS, Data, Part, page
from ssgan.evaluation import teaching
from ssgan.experiment.loading import load_experiment
from ssgan.records.rundir import RunDir

from .test_few_labels import TINY

DIGITS = DATA["digits"]
OVERRIDES = tuple(field for field in TINY if not field.startswith("data.spread"))
SHARES = {"samples": 0.9, "labels": 0.7, "augmented labels": 0.95, "readings": 0.97}


def setup_in(folder: Path) -> few_labels.Setup:
    return few_labels.Setup(folder / "runs", folder / "teaches.jsonl", overrides=OVERRIDES)


def make_line(data: Data, part: Part, seed: int, **measured: float) -> Line:
    known: dict[str, float | None] = {
        "accuracy": SHARES.get(part, 0.0),
        "images": 1_297,
        "q_ss_accuracy": 0.96,
        "zero_one_loss_ema": 0.01,
        "judge_error": 0.05,
        "below_held_out": 0.0125,
        "below_training": 0.0025,
        "noisy_found": 1.0,
        "moved_found": 0.25,
        **{f"median_{of}": 3.5 for of in ("samples", "held_out", "training")},
    }
    return Line(data.cell(part), seed, "abc", "a machine", ["x=1"], None, {**known, **measured})


@pytest.mark.parametrize("data", DATA.values(), ids=DATA.keys())
def test_every_data_set_is_its_preset_with_few_images_of_mnist(data: Data) -> None:
    made = load_experiment(data.preset, [*source_fields(data.preset, Path("x")), *data.fields])
    labels = {"digits": "10%", "mnist": 132, "svhn": "10%"}
    assert made.data.labels == labels[data.preset]
    training = made.training
    seen = training.epochs * training.steps_per_epoch * training.batch_size
    assert (seen == 64_000) is (data.preset == "mnist")


def test_a_run_is_measured_part_by_part_and_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teaching, "UPDATES", 2)
    setup = setup_in(tmp_path)

    class Stopped(Exception):
        pass

    measure = teaches.measure
    done: list[Part] = []

    def stop(loaded, part: Part, picture: Path | None):
        if len(done) == 2:
            raise Stopped
        done.append(part)
        return measure(loaded, part, picture)

    monkeypatch.setattr(teaches, "measure", stop)
    with pytest.raises(Stopped):
        teaches.fill(setup, DIGITS, 1, Path())
    assert [line.cell for line in read_lines(setup.lines)] == ["digits/samples", "digits/labels"]
    monkeypatch.setattr(teaches, "measure", measure)
    monkeypatch.setattr(few_labels, "_call", None)  # the run is there
    teaches.fill(setup, DIGITS, 1, Path())
    lines = read_lines(setup.lines)
    assert [line.key for line in lines] == [(DIGITS.cell(part), 1) for part in PARTS]
    summary = RunDir(setup.runs / "digits" / "1").summary()
    assert summary is not None
    assert lines[0].measured["q_ss_accuracy"] == summary["metrics"]["q_ss_accuracy"]
    right = [line.measured.get("right") for line in lines]
    assert [one is None for one in right] == [True, True, True, False, True]
    assert all(line.measured["updates"] == 2 for line in lines[:4])
    assert lines[4].measured["training_images"] == 1_297
    with Image.open(tmp_path / "teaches" / "digits.png") as picture:
        assert picture.width > 1_000
    monkeypatch.setattr(teaches, "train", None)
    teaches.fill(setup, DIGITS, 1, Path())
    assert read_lines(setup.lines) == lines


def test_what_another_process_measures_is_left_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(teaches, "train", None)
    (tmp_path / "runs/digits").mkdir(parents=True)
    with FileLock(tmp_path / "runs/digits/1.lock"):
        teaches.fill(setup_in(tmp_path), DIGITS, 1, Path())
    assert "digits, seed 1: another process has it" in capsys.readouterr().out
    assert not (tmp_path / "teaches.jsonl").exists()


def test_a_run_that_fails_counts_as_chance_where_its_generator_teaches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teaches, "train", lambda *told: "it became NaN")
    setup = setup_in(tmp_path)
    teaches.fill(setup, DIGITS, 1, Path())
    lines = read_lines(setup.lines)
    assert [line.error for line in lines] == ["it became NaN"] * len(PARTS)
    text = page(lines)
    assert "| Digits, 130 labels | samples (CAS) |  | 1 | 0.1000 | 0.1000 |  |" in text
    assert "| the labels |" not in text
    assert text.count("- digits, seed 1: it became NaN") == 1
    assert "teaches/digits.png" not in text


def test_the_page_compares_the_teachers_on_the_same_seeds(tmp_path: Path) -> None:
    file, svhn = tmp_path / "teaches.jsonl", DATA["svhn"]
    lines = [make_line(DIGITS, part, seed) for part in PARTS for seed in (1, 2, 3)]
    lines[1] = make_line(DIGITS, "samples", 2, accuracy=0.96)
    lines[9] = make_line(DIGITS, "readings", 1, right=0.975)
    lines += [make_line(svhn, "samples", 2)]
    for line in lines:
        add_line(file, line, tmp_path / "lock")
    out = tmp_path / "teaches.md"
    teaches.main(["page", "--lines", str(file), "--page", str(out)])
    text = out.read_text()
    row = "| Digits, 130 labels | samples (CAS) | 1,297 | 3 | 0.9200 ± 0.0346 | "
    assert f"{row}0.9000, 0.9600, 0.9000 |  |" in text
    assert "| 3 | 0.9700 ± 0.0000 | 0.9700, 0.9700, 0.9700 | 0.9750 |" in text
    gains = "+0.2200 ± 0.0346; 3 of 3 | -0.0300 ± 0.0346; 1 of 3 | -0.0500 ± 0.0346; 0 of 3"
    assert f"| Digits, 130 labels | {gains} |" in text
    assert "| SVHN, 600 labels | not run | not run | not run |" in text
    assert (
        "| Digits, 130 labels | 3 | 0.0125 ± 0.0000 | 0.0025 ± 0.0000 | 1.0000 ± 0.0000 | 0.2500"
        in text
    )
    assert "](teaches/digits.png)" in text
    assert "](teaches/svhn.png)" not in text
    assert "`svhn/samples` 1 of 3" in text
    assert "`digits/" not in text
    assert "$ ssgan train svhn data.source.kind=parquet" in text
    assert "`mnist/samples` 0 of 3" in text


def test_no_real_image_is_shown_that_its_license_forbids_to_show(tmp_path: Path) -> None:
    faces = replace(DIGITS, title="Faces", license=None)
    assert teaches._picture(setup_in(tmp_path), faces, 1) is None
    assert teaches._picture(setup_in(tmp_path), DIGITS, 2) is None
    text = page([make_line(faces, "copies", 1)], [faces])
    assert "Faces: the closest pairs are not shown, which its license forbids." in text
    assert ".png" not in text


def test_the_page_refuses_what_cannot_be_compared() -> None:
    with pytest.raises(SystemExit, match="there are no lines"):
        page([])
    other = replace(make_line(DIGITS, "labels", 1), fields=["x=2"])
    with pytest.raises(SystemExit, match="digits have different settings"):
        page([make_line(DIGITS, "samples", 1), other])
