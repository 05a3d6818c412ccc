"""`ssgan train` and what is done with its run: one tiny run of the digits, for real."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ssgan.data.store import Store
from ssgan.evaluation import teaching
from ssgan.export import NamedGenerator
from ssgan.export.card import read_card
from ssgan.export.card_text import to_html
from ssgan.export.sliders import make_page
from ssgan.launch.location import move_aside
from ssgan.launch.outcome import Result
from ssgan.records.rundir import RunDir
from ssgan.records.searchdir import SearchDir

TINY = (
    "training.epochs=1",
    "training.steps_per_epoch=3",
    "training.batch_size=8",
    "label_sampling.batch_size=8",
    "networks.width=4",
    "networks.hidden=16",
    "networks.q_hidden=8",
    "evaluation.samples=20",
    "evaluation.real_images=60",
    "evaluation.held_out_images=60",
    "evaluation.judge.epochs=1",
    "evaluation.judge.least_updates=2",
    "evaluation.judge.validation_images=50",
)
KEYS = {
    "zero_one_loss",
    "zero_one_loss_ema",
    "q_ss_accuracy",
    "epochs",
    "images_seen",
    "images_per_second",
    "run_id",
    "tracking_uri",
    "run_dir",
    "export",
    "seed",
}


def program(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the real program in a folder."""
    return subprocess.run(
        [sys.executable, "-m", "ssgan", *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "80"},
    )


@pytest.fixture(scope="module")
def trained(
    tmp_path_factory: pytest.TempPathFactory, digits_store: Store
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A folder with the run runs/tiny in it, and what the program said."""
    folder = tmp_path_factory.mktemp("trained")
    done = program(folder, "train", "digits", *TINY, "--name", "tiny", "--json")
    assert done.returncode == 0, done.stderr
    return folder, done


@pytest.fixture
def folder(
    trained: tuple[Path, subprocess.CompletedProcess[str]], ssgan, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The folder that holds runs/tiny, as the working directory."""
    monkeypatch.chdir(trained[0])
    return trained[0]


def test_json_summary_is_all_on_stdout(
    trained: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    folder, done = trained
    summary = json.loads(done.stdout)
    assert summary.keys() >= KEYS
    assert summary == json.loads((folder / "runs/tiny/summary.json").read_text())
    assert (summary["epochs"], summary["images_seen"]) == (1, 24)
    assert summary["run_dir"] == str(folder / "runs/tiny")
    assert "epoch 1/1" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_last_screen_says_what_where_and_how(folder: Path, ssgan) -> None:
    done = ssgan("train", "--resume", "runs/tiny")
    assert done.code == 0, done.err
    for text in (
        "0-1 loss",
        "Q_ss accuracy",
        "C's own error",
        "images/s",
        "runs/tiny/figures/samples_ema.png",
        "sample runs/tiny digit=7 -n 16",
        f"mlflow ui --backend-store-uri sqlite:///{folder}/runs/mlflow.db",
        "and open http://127.0.0.1:5000/#/experiments/1/runs?workflowType=machine_learning"
        "&viewStateShareKey=ssgan&compareRunsMode=CHART",
    ):
        assert text in done.out
    assert "epoch 1/1" not in done.out


def test_sample_reads_the_run(folder: Path, ssgan) -> None:
    done = ssgan("sample", "runs/tiny", "digit=7", "-n", "2", "--out", "seven.npy")
    assert done.code == 0, done.err
    assert np.load("seven.npy").shape == (2, 16, 16, 1)


def test_evaluate_finds_what_the_record_says(folder: Path, ssgan) -> None:
    done = ssgan("evaluate", "runs/tiny", "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    recorded = RunDir.open("runs/tiny").records()[-1].metrics
    for name in ("zero_one_loss", "zero_one_loss_ema", "q_ss_accuracy", "diversity"):
        assert found["metrics"][name] == pytest.approx(recorded[name], abs=1e-6)
    assert found["judge_origin"] == "of this machine's cache"
    shown = ssgan("evaluate", "runs/tiny", "--copy", "ema").out
    assert f"classifier C: {found['judge'][:12]}, of this machine's cache" in shown


def test_evaluate_one_copy_with_other_settings(folder: Path, ssgan) -> None:
    done = ssgan("evaluate", "runs/tiny", "--copy", "raw", "evaluation.samples=30")
    assert done.code == 0, done.err
    assert "zero_one_loss " in done.out
    assert "zero_one_loss_ema" not in done.out
    refused = ssgan("evaluate", "runs/tiny", "seed=3")
    assert (refused.code, "seed has no effect" in refused.err) == (2, True)


def test_evaluate_says_what_samples_teach_and_whether_they_are_copies(
    folder: Path, ssgan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teaching, "UPDATES", 2)
    done = ssgan("evaluate", "runs/tiny", "--teaches", "--pairs", "pairs.png", "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert list(found["teaches"]) == ["samples", "labels", "augmented labels", "readings"]
    assert {lesson["images"] for lesson in found["teaches"].values()} == {2 * 64}
    assert all(0 <= lesson["accuracy"]["digit"] <= 1 for lesson in found["teaches"].values())
    audit = found["copy_audit"]
    assert (audit["samples"], audit["training_images"], audit["noisy_found"]) == (20, 1_297, 1)
    with Image.open("pairs.png") as picture:
        assert picture.width > 1_000
    shown = ssgan("evaluate", "runs/tiny", "--teaches", "--copy", "raw").out
    assert "taught by the generator (raw weights)" in shown
    assert "of 20 samples are nearer to one of 1,297 training images" in shown


def test_what_teaching_cannot_do_is_said_before_it_begins(folder: Path, ssgan) -> None:
    alone = ssgan("evaluate", "runs/tiny", "--pairs", "pairs.png")
    assert (alone.code, "--pairs are found by --teaches" in alone.err) == (2, True)
    for file in ("pairs.jpg", "nowhere/pairs.png"):
        refused = ssgan("evaluate", "runs/tiny", "--teaches", "--pairs", file)
        assert (refused.code, f"--pairs {file} must end in .png" in refused.err) == (2, True)


def test_figures_are_drawn_again(folder: Path, ssgan) -> None:
    figures = folder / "runs/tiny/figures"
    before = {file.name for file in figures.iterdir()}
    (figures / "samples_ema.png").unlink()
    done = ssgan("figures", "runs/tiny", "--checkpoint", "best")
    assert done.code == 0, done.err
    assert {file.name for file in figures.iterdir()} == before
    assert "samples_ema.png" in done.out


def test_export_writes_either_copy(folder: Path, ssgan) -> None:
    assert ssgan("export", "runs/tiny", "--copy", "raw", "--out", "raw").code == 0
    assert ssgan("export", "runs/tiny", "--out", "ema").code == 0
    raw, ema = NamedGenerator.load("raw"), NamedGenerator.load("ema")
    assert (raw.manifest.copy_of, ema.manifest.copy_of) == ("raw", "ema")
    assert raw.manifest.weights_sha256 != ema.manifest.weights_sha256
    own = NamedGenerator.load("runs/tiny")
    assert np.array_equal(own.sample(digit=7), ema.sample(digit=7))
    assert own.manifest.provenance == ema.manifest.provenance
    cards = [(folder / one / "README.md").read_text() for one in ("runs/tiny/export", "ema", "raw")]
    # Their last bits may differ with the number of threads, and the hash with them.
    told = [card.partition("Their SHA-256")[0] for card in cards]
    assert told[0] == told[1]
    assert "0-1 loss of G's EMA" in cards[1]
    assert "0-1 loss of raw G" in cards[2]
    assert (folder / "raw/strips/1-digit.png").is_file()


def test_export_writes_a_page_and_says_how_near_its_pictures_are(folder: Path, ssgan) -> None:
    done = ssgan("export", "runs/tiny", "--html", "made/tiny.html", "--out", "beside")
    assert done.code == 0
    generator = NamedGenerator.load("beside")
    card = read_card(RunDir.open("runs/tiny"), generator.manifest)
    assert card is not None
    strips = {f"strips/{file.name}": file.read_bytes() for file in Path("beside/strips").iterdir()}
    page, fidelity = make_page(generator, "runs/tiny", to_html(card, strips, title=False))
    assert Path("made/tiny.html").read_bytes() == page
    assert f"made/tiny.html: a page of {len(page) / 1e6:.1f} MB, G moving average" in done.out
    assert str(fidelity) in done.out


def test_export_writes_onnx_that_draws_as_the_export_does(folder: Path, ssgan) -> None:
    done = ssgan("export", "runs/tiny", "--onnx", "made/tiny.onnx", "--out", "beside")
    assert done.code == 0, done.err
    assert "made/tiny.onnx: G moving average (EMA)" in done.out
    assert "1,000 latents checked against torch" in done.out
    assert Path("made/tiny.onnx").read_bytes() == NamedGenerator.load("beside").to_onnx()


@pytest.mark.parametrize("ending", ["html", "onnx"])
def test_export_to_one_file_refuses_other_files(folder: Path, ssgan, ending: str) -> None:
    made = Path(f"made.{ending}")
    made.mkdir(exist_ok=True)
    for file, message in (("a.bin", f"must end in .{ending}"), (made, "is a folder")):
        done = ssgan("export", "runs/no-such-run", f"--{ending}", str(file))
        assert done.code == 2
        assert message in done.err


@pytest.mark.parametrize("verb", ["evaluate", "export", "figures"])
def test_unknown_runs_and_checkpoints(folder: Path, ssgan, verb: str) -> None:
    missing = ssgan(verb, "runs/nowhere")
    assert (missing.code, "is not a run directory" in missing.err) == (2, True)
    unknown = ssgan(verb, "runs/tiny", "--checkpoint", "00000004")
    assert unknown.code == 2
    assert "did you mean '00000003'?" in unknown.err


def test_track_sync_repeats_nothing_and_passes_over_what_is_no_run(folder: Path, ssgan) -> None:
    done = ssgan("track", "sync", "runs/tiny", "runs/mlflow.db", "--json")
    assert done.code == 0, done.err
    (report,) = json.loads(done.out)["runs"]
    assert (report["epochs"], report["sent"], report["images"]) == (1, 0, 0)
    other = ssgan("track", "sync", "runs/tiny", "--uri", f"sqlite:///{folder}/other.db", "--json")
    (report,) = json.loads(other.out)["runs"]
    assert report["sent"] == 1
    typo = ssgan("track", "sync", "runs/tiny", "runs/typo")
    assert (typo.code, "there is no" in typo.err) == (2, True)


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect the places of runs instead of training them."""
    places: list[str] = []

    def train(experiment: object, out: str, name: str, replace: bool, **named: object) -> Result:
        if replace:
            move_aside(f"{out}/{name}")
        run = RunDir.create(f"{out}/{name}", "seed: 0")
        places.append(f"{out}/{name}")
        return Result(run.location, {"run_dir": run.location})

    monkeypatch.setattr("ssgan.launch.driver.train", train)
    return places


def test_a_taken_name_is_refused_and_a_free_one_found(
    ssgan, digits_store: Store, launched: list[str]
) -> None:
    assert ssgan("train", "digits", "--json").code == 0
    refused = ssgan("train", "digits", "--name", "digits")
    assert refused.code == 2
    assert "--resume runs/digits" in refused.err
    assert "--replace" in refused.err
    done = ssgan("train", "digits", "--json")
    assert done.code == 0, done.err
    assert "runs/digits is taken" in done.err
    assert launched == ["runs/digits", "runs/digits-2"]


def test_the_environment_names_the_folder_of_runs(
    ssgan, digits_store: Store, launched: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSGAN_OUT", "elsewhere")
    assert ssgan("train", "digits", "--json").code == 0
    assert ssgan("train", "digits", "--out", "here", "--json").code == 0
    assert launched == ["elsewhere/digits", "here/digits"]


def test_replace_moves_the_old_run_aside(ssgan, digits_store: Store, launched: list[str]) -> None:
    command = ("train", "digits", "--out", "some", "--name", "x", "--replace", "--json")
    assert ssgan(*command).code == 0
    before = Path("some/x/run.json").read_bytes()
    Path("some/x.1").mkdir()
    done = ssgan(*command)
    assert done.code == 0, done.err
    assert Path("some/x.2/run.json").read_bytes() == before
    assert Path("some/x/run.json").read_bytes() != before
    assert launched == ["some/x", "some/x"]


def test_resume_goes_on_and_refuses_another_identity(folder: Path, ssgan) -> None:
    shutil.copytree("runs/tiny", "runs/longer")
    refused = ssgan("train", "--resume", "runs/longer", "seed=7")
    assert refused.code == 2
    assert "seed: 0 -> 7" in refused.err
    by_preset = ssgan("train", "digits", "--resume", "runs/longer")
    assert by_preset.code == 2
    assert "networks.width: 4 -> 32" in by_preset.err
    assert "resumes it with the run's own values" in by_preset.err
    done = ssgan("train", "--resume", "runs/longer", "training.epochs=2", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["epochs"] == 2
    same = ssgan("train", "--resume", "runs/longer", "--name", "x")
    assert (same.code, "leave out --name" in same.err) == (2, True)


def test_a_search_is_no_run_to_go_on_with(tmp_path: Path, ssgan) -> None:
    SearchDir.create(tmp_path / "runs/hunt", "base: digits\n")
    refused = ssgan("train", "--resume", "runs/hunt")
    assert refused.code == 2
    assert "`ssgan search --resume hunt` resumes it" in refused.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["digitz"], "did you mean 'digits'?"),
        ([], "name a preset"),
        (["digits", "training.epoch=3"], "did you mean 'epochs'?"),
        (["digits", "training.epochs=0"], "training.epochs=0"),
        (["digits", "data.held_out=0.5"], "data.held_out has no effect"),
        (["digits", "data.labels=3"], "fewer than one for each of the 10 classes"),
        (["digits", "data.labels=99999"], "more labels than the 1297"),
        (["digits", "codes.supervised=[digt]"], "did you mean 'digit'?"),
        (["digits", "data.source.size=9"], "size"),
        (["digits", "training.batch_size=65", "scaling.workers=2"], "64 or 66 can"),
        (["digits", "seed"], "write field=value"),
        (["digits", "tracking.uri=ftp://x"], "tracking.uri"),
        (["digits", "--name", "../x"], "cannot name a run"),
        (["digits", "--out", "file"], "cannot write to"),
        (["--resume", "runs/nowhere"], "is not a run directory"),
    ],
)
def test_bad_input_ends_with_2_before_anything_is_made(
    ssgan, tmp_path: Path, digits_store: Store, arguments: list[str], message: str
) -> None:
    (tmp_path / "file").write_text("")
    done = ssgan("train", *arguments)
    assert done.code == 2, done.err
    assert message in done.err
    assert "Traceback" not in done.err
    assert done.out == ""
    assert not list(tmp_path.glob("runs/*/run.json"))


def test_losses_that_are_not_finite_fail_with_the_terms_name(
    ssgan, digits_store: Store, tmp_path: Path
) -> None:
    done = ssgan("train", "digits", *TINY, "optimizer.generator_lr=1e30", "training.epochs=4")
    assert (
        "warning: training.epochs is set twice; training.epochs=4 counts, not training.epochs=1"
        in done.err
    )
    assert done.code == 1
    assert "failed: loss/" in done.err
    assert "Traceback" not in done.err


def test_ctrl_c_stops_with_a_checkpoint_to_go_on_from(
    tmp_path: Path, trained: tuple[Path, subprocess.CompletedProcess[str]]
) -> None:
    run = subprocess.Popen(
        [sys.executable, "-m", "ssgan", "train", "digits", *TINY[1:], "training.epochs=100000"],
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert run.stderr is not None
    said = []
    for line in run.stderr:
        said.append(line)
        if "epoch 1/" in line.replace("     ", ""):
            run.send_signal(signal.SIGINT)
    assert run.wait() == 1, "".join(said)
    assert "resume it with --resume" in said[-1], "".join(said)
    assert RunDir.open(tmp_path / "runs/digits").list("checkpoints")
