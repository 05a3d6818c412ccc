"""`ssgan sample`: values, lists and ranges become rows and columns of a picture."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ssgan.base.storage import Folder
from ssgan.experiment.loading import load_experiment
from ssgan.export import NamedGenerator
from tests.helpers.buckets import running_bucket


def test_one_value_makes_n_images(ssgan, export: Path) -> None:
    done = ssgan("sample", export, "digit=7", "-n", "5", "--seed", "3", "--out", "a.npy")
    assert done.code == 0, done.err
    expected = NamedGenerator.load(export).sample(digit=7, n=5, seed=3)
    assert np.array_equal(np.load("a.npy"), expected)
    assert "5 images" in done.out


def test_all_classes_make_rows_with_the_same_noise_in_a_column(ssgan, export: Path) -> None:
    done = ssgan("sample", export, "digit=all", "-n", "3", "--out", "a.npy", "--out", "a.png")
    assert done.code == 0, done.err
    generator = NamedGenerator.load(export)
    rows = [generator.sample(digit=digit, n=3) for digit in range(10)]
    assert np.array_equal(np.load("a.npy"), np.concatenate(rows))
    with Image.open("a.png") as picture:
        assert picture.height > picture.width  # ten rows of three


def test_a_second_list_makes_columns_that_share_the_noise(ssgan, export: Path) -> None:
    done = ssgan("sample", export, "digit=1,5", "angle=-30..60", "--out", "a.npy", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out) == {"files": ["a.npy"], "rows": 2, "columns": 9, "seed": 0}
    generator = NamedGenerator.load(export)
    images = np.load("a.npy")
    assert np.array_equal(images[0], generator.sample(digit=1, angle=-30)[0])
    assert np.array_equal(images[17], generator.sample(digit=5, angle=60)[0])
    assert not np.array_equal(images[9], images[17])


def test_the_picture_is_the_grid_that_python_draws(ssgan, export: Path) -> None:
    done = ssgan("sample", export, "digit=all", "style_1=-2..2", "angle=5", "--out", "a.png")
    assert done.code == 0, done.err
    drawn = NamedGenerator.load(export).grid(digit="all", style_1="-2..2", angle=5)
    with Image.open("a.png") as picture:
        assert picture.tobytes() == drawn.tobytes()


def test_a_run_directory_stands_for_its_export(ssgan, export: Path) -> None:
    done = ssgan("sample", export.parent)
    assert done.code == 0, done.err
    assert Path("samples.png").is_file()
    assert "digit: 0, 1, 2" in done.out
    assert "angle from -30 to 60" in done.out


def test_an_export_may_lie_on_an_object_store(ssgan, export: Path) -> None:
    with running_bucket() as bucket:
        copy = Folder(bucket.locate("runs/digits"))
        for file in export.iterdir():
            copy.write_bytes(f"export/{file.name}", file.read_bytes())
        expected = NamedGenerator.load(export).sample(digit=7, n=2)
        for source in (copy.location, copy.locate("export")):
            done = ssgan("sample", source, "digit=7", "-n", "2", "--out", "a.npy")
            assert done.code == 0, done.err
            assert np.array_equal(np.load("a.npy"), expected)
        done = ssgan("sample", bucket.locate("runs/nothing"))
        assert done.code == 2
        assert f"no export in {bucket.locate('runs/nothing')}" in done.err
        copy.write_bytes("best.yaml", b"preset: digits\nseed: 7\n")
        assert load_experiment(copy.locate("best.yaml")).seed == 7
        done = ssgan("train", copy.locate("best.yaml"), "training.epochs=0")
        assert "training.epochs" in done.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["digt=7"], "did you mean 'digit'?"),
        (["digit=17"], "has no class '17'"),
        (["angle=500"], "was trained from -30 to 60"),
        (["angle=1..x"], "is not a range"),
        (["angle=0..1e999"], "is not a range"),
        (["angle=nan..1"], "is not a range"),
        (["digit=1", "digit=2"], "digit is set twice; for several values write digit=A,B"),
        (["digit=,"], "digit=, has an empty value"),
        (["digit=1,,2"], "has an empty value"),
        (["digit=\x1b[31m"], "\\x1b[31m"),
        (["digit"], "write code=value"),
        (["digit=all", "angle=0..1", "style_1=0..1"], "rows and columns only"),
        (["digit=all", "angle=0..1", "-n", "3"], "n has no effect: angle makes the columns"),
        (["digit=all", "-n", "5000"], "lower n"),
        (["--out", "a.jpg"], "must end in .png"),
        (["--out", "nowhere/a.png"], "there is no folder"),
        (["--out", "set"], "a data set needs -n, how many images in total"),
        (["-n", "9", "--out", "set", "--out", "a.png"], "a data set needs a command of its own"),
        (["--share", "uniform"], "--share has no effect on a picture"),
        (["--agreeing"], "--agreeing has no effect on a picture"),
        (["-n", "9", "--out", "set", "angle=500"], "was trained from -30 to 60"),
        (["-n", "9", "--out", "set", "--share", "7=0.5"], "the shares sum to 0.5, not to 1"),
        (["--device", "cuda:99"], "cannot compute on the device 'cuda:99'"),
    ],
)
def test_bad_input(ssgan, export: Path, arguments: list[str], message: str) -> None:
    done = ssgan("sample", export, *arguments)
    assert done.code == 2
    assert message in done.err
    assert "Traceback" not in done.err
    assert done.out == ""
    assert not list(Path().glob("*.png"))
    assert not Path("set").exists()


def test_an_ending_makes_a_data_set_of_n_images_in_total(ssgan, export: Path) -> None:
    for out in ("set", "set.parquet", "set.tar"):
        done = ssgan(
            "sample", export, "digit=all", "-n", "45", "--seed", "3", "--out", out, "--json"
        )
        assert done.code == 0, done.err
        facts = json.loads(done.out)
        assert (facts["images"], facts["left_out"], facts["seed"]) == (45, 0, 3)
        assert [*facts["classes"].values()] == [5] * 5 + [4] * 5
        assert all(Path(file).exists() for file in facts["files"])
    assert len([*Path("set/7").iterdir()]) == 4
    done = ssgan("sample", export, "--share", "3=1", "--agreeing", "-n", "45", "--out", "threes")
    assert done.code == 0, done.err
    assert "left out, since Q_ss reads another class: " in done.out
    done = ssgan("sample", export, "digit=all", "-n", "45", "--out", "set")
    assert done.code == 2
    assert "was begun with seed = 3, and now it is 0" in done.err


@pytest.mark.slow
def test_a_killed_process_is_gone_on_with_to_the_same_bytes(export: Path, tmp_path: Path) -> None:
    often = (  # the command, but that it saves its state twice a second
        "from ssgan.export import labeled_images; from ssgan.cli import main; "
        "labeled_images._SAVE = 0.5; main()"
    )

    def start(name: str) -> subprocess.Popen[bytes]:
        words = ["sample", str(export), "digit=all", "-n", "15000", "--out", name]
        return subprocess.Popen([sys.executable, "-c", often, *words], cwd=tmp_path)

    whole = start("whole")
    killed, journal = start("killed"), tmp_path / "killed/sample.jsonl"
    while not journal.exists() or journal.read_bytes().count(b"\n") < 2:
        assert killed.poll() is None
        time.sleep(0.01)
    killed.kill()
    assert killed.wait() == -signal.SIGKILL
    assert b'"done": 15000' not in journal.read_bytes()
    assert start("killed").wait() == 0
    assert whole.wait() == 0
    first, second = (
        {f.relative_to(d): f for f in d.rglob("*") if f.is_file() and f.name != journal.name}
        for d in (tmp_path / "whole", tmp_path / "killed")
    )
    assert len(first) == 15_001
    assert first.keys() == second.keys()
    assert all(first[name].read_bytes() == second[name].read_bytes() for name in first)


def test_a_folder_without_an_export_says_how_to_write_one(ssgan, tmp_path: Path) -> None:
    done = ssgan("sample", tmp_path)
    assert done.code == 2
    assert "ssgan export" in done.err


def test_a_changed_export_is_refused(ssgan, export: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in export.iterdir():
        content = bytearray(file.read_bytes())
        if file.suffix == ".safetensors":
            content[-1] ^= 1
        (copy / file.name).write_bytes(content)
    done = ssgan("sample", copy)
    assert done.code == 2
    assert "changed after it was exported" in done.err


def test_a_picture_needs_torch_alone_and_leaves_garbage_collection_on(export: Path) -> None:
    heavy = (
        "ray",
        "mlflow",
        "matplotlib",
        "pandas",
        "pyarrow",
        "scipy",
        "sklearn",
        "torch._dynamo",
    )
    program = (
        "import gc, sys; from ssgan.cli import main\n"
        f"try: main(['sample', {str(export)!r}])\n"
        f"finally: print([name for name in {heavy} if name in sys.modules], gc.isenabled())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=export.parent
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[] True"
