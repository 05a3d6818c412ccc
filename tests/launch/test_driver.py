import json
import logging
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ssgan import __version__
from ssgan.base import lease
from ssgan.base.errors import BadInput, LeaseLost, NonFiniteLoss
from ssgan.data import dataset
from ssgan.data.spread_labels import SpreadLabels
from ssgan.data.store import Store
from ssgan.experiment.loading import with_values
from ssgan.experiment.tree import Experiment
from ssgan.export import NamedGenerator
from ssgan.export.format import read_manifest
from ssgan.launch import driver, machine
from ssgan.launch.driver import train
from ssgan.launch.outcome import Result
from ssgan.records.checkpoints import Checkpoints
from ssgan.records.data_info import DataInfo, read_data_info
from ssgan.records.rundir import RunDir
from ssgan.records.searchdir import SearchDir
from ssgan.tracking.store import Busy, Deleted, Unreachable
from ssgan.training.loop import Progress, Stopped, Watch
from tests.helpers.leases import write_foreign_lease
from tests.helpers.runs import assert_same_state, final_state

pytestmark = pytest.mark.usefixtures("digits_store")


def test_a_run_leaves_everything_that_it_promises(
    tiny: Experiment, tmp_path: Path, endings: list[str | None], digits_store: Store
) -> None:
    seen: list[Progress] = []
    result = train(tiny, tmp_path, "first", watch=Watch(progress=seen.append))
    run = RunDir.open(tmp_path / "first")
    assert result == Result(run.location, json.loads((tmp_path / "first/summary.json").read_text()))
    summary = result.summary
    assert (summary["epochs"], summary["images_seen"], summary["seed"]) == (3, 144, 0)
    assert summary["run_id"] == run.run_id
    assert summary["tracking_uri"] == f"sqlite:///{tmp_path}/mlflow.db"
    assert 0 <= summary["zero_one_loss_ema"] <= 1
    assert 0 <= summary["q_ss_accuracy"] <= 1
    assert summary["images_per_second"] > 0
    assert summary["environment"]["threads"] == 1
    assert summary["stop_reason"] is None
    assert [record.epoch for record in run.records()] == [1, 2, 3]
    assert "figures/zero_one_loss.png" in run.list("figures")
    assert "figures/samples_ema.png" in run.list("figures")
    assert NamedGenerator.load(summary["export"]).sample(digit=7, n=2).shape == (2, 16, 16, 1)
    assert Experiment.from_yaml(run.definition()) == tiny
    assert run.exists("labels.parquet")
    assert read_data_info(run) == DataInfo.of(digits_store.manifest)
    assert [now.record.epoch for now in seen if now.record is not None] == [1, 2, 3]
    assert endings == [None]


def test_sigterm_writes_a_checkpoint_and_a_resume_ends_with_the_same_weights(
    tiny: Experiment, tmp_path: Path, endings: list[str | None]
) -> None:
    whole = train(tiny, tmp_path, "whole")

    seen: set[int] = set()

    def terminate(now: Progress) -> None:
        if now.updates == 8 and 8 not in seen:  # in the middle of the second epoch
            os.kill(os.getpid(), signal.SIGTERM)
        seen.add(now.updates)

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Stopped, match=r"stopped after 8 updates; resume it with --resume .*parted"):
        train(tiny, tmp_path, "parted", watch=Watch(progress=terminate))
    assert signal.getsignal(signal.SIGTERM) is before
    run = RunDir.open(tmp_path / "parted")
    assert "00000008" in run.folders("checkpoints")
    stopped = run.summary()
    assert stopped is not None
    assert (stopped["stop_reason"], stopped["export"]) == ("stopped after 8 updates", None)
    resumed = train(tiny, resume=run.location)
    assert_same_state(final_state(resumed.run_dir), final_state(whole.run_dir))
    assert resumed.summary["zero_one_loss_ema"] == whole.summary["zero_one_loss_ema"]
    assert endings == [None, "KILLED", None]


@pytest.mark.parametrize("move", [shutil.move, shutil.copytree])
def test_a_run_that_was_moved_or_copied_is_resumed_where_it_is(
    tiny: Experiment,
    tmp_path: Path,
    endings: list[str | None],
    move: Callable[[Path, Path], object],
) -> None:
    recorded = {"tracking.uri": f"sqlite:///{tmp_path}/before/mlflow.db"}
    tiny = with_values(tiny, recorded)
    whole = train(tiny, tmp_path, "whole")
    before, after = tmp_path / "before", tmp_path / "after"
    train(with_values(tiny, {"training.epochs": 2}), before, "mine")
    move(before, after)
    kept = sorted(before.rglob("*"))
    found = RunDir.open(after / "mine").summary()
    assert found is not None
    assert (found["run_dir"], found["export"]) == (f"{after}/mine", f"{after}/mine/export")
    resumed = train(tiny, resume=after / "mine")
    assert_same_state(final_state(resumed.run_dir), final_state(whole.run_dir))
    place = before if before.exists() else after  # a choice of one's own, unless it is gone
    assert resumed.summary["tracking_uri"] == f"sqlite:///{place}/mlflow.db"
    assert sorted(before.rglob("*")) == kept


@pytest.mark.parametrize("updates", [8, 18])
def test_a_run_that_is_moved_while_it_is_trained_is_whole_where_it_is_then(
    tiny: Experiment, tmp_path: Path, endings: list[str | None], updates: int
) -> None:
    whole = train(tiny, tmp_path, "whole")
    before, after = tmp_path / "before", tmp_path / "after"

    def move(now: Progress) -> None:
        if now.updates == updates and not after.exists():
            before.rename(after)

    with pytest.raises(LeaseLost, match="was moved or removed while it was written"):
        train(tiny, before, "mine", watch=Watch(progress=move))
    assert not before.exists()
    for left in (after / "mine").glob("lease-*"):  # of this process, which would have ended
        left.unlink()
    resumed = train(tiny, resume=after / "mine")
    assert_same_state(final_state(resumed.run_dir), final_state(whole.run_dir))
    assert [record.epoch for record in RunDir(resumed.run_dir).records()] == [1, 2, 3]
    assert endings == [None, "RUNNING", None]
    assert os.listdir(tmp_path / "after") == ["mine"]


def test_a_run_can_be_made_longer_but_not_another(
    tiny: Experiment,
    tmp_path: Path,
    endings: list[str | None],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    short = with_values(tiny, {"training.epochs": 1})
    run_dir = train(short, tmp_path, "grown").run_dir
    with pytest.raises(BadInput, match=r"objective\.lambda2: .* -> 9\.0"):
        train(with_values(tiny, {"objective.lambda2": 9.0}), resume=run_dir)
    monkeypatch.setattr(machine, "__version__", "0.2")
    with caplog.at_level(logging.WARNING):
        result = train(tiny, resume=run_dir)
    assert f"ssgan=0.2 (before {__version__})" in caplog.text
    assert result.summary["epochs"] == 3
    assert Experiment.from_yaml(RunDir.open(run_dir).definition()).training.epochs == 3


def test_labels_are_spread_once_for_a_run(
    tiny: Experiment, tmp_path: Path, endings: list[str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = with_values(tiny, {"data.labels": 20, "data.spread": {"neighbors": 5, "steps": 20}})
    whole = train(tiny, tmp_path, "whole")
    short = train(with_values(tiny, {"training.epochs": 1}), tmp_path, "grown")
    monkeypatch.delattr(dataset, "find_graph")  # as if this machine could not find them again
    grown = train(tiny, resume=short.run_dir)
    assert_same_state(final_state(grown.run_dir), final_state(whole.run_dir))
    files = [Path(result.run_dir) / "spread.parquet" for result in (whole, grown)]
    assert files[0].read_bytes() == files[1].read_bytes()
    manifest = read_manifest(Path(grown.run_dir) / "export")
    origin = manifest.provenance
    assert manifest.shares
    assert all(sum(shares) == pytest.approx(1) for shares in manifest.shares.values())
    gained = SpreadLabels.from_parquet(files[0].read_bytes()).y
    assert origin["labels_gained"] == (~gained.isnan()).sum() > 400
    assert "neighbors=5, steps=20, alpha=0.99" in str(origin["labels_spread"])


def test_an_export_counts_the_labels_that_were_spread_anew(
    tiny: Experiment, tmp_path: Path, endings: list[str | None]
) -> None:
    spread = {"neighbors": 5, "steps": 20, "rebuild": 1, "first": "none"}
    tiny = with_values(tiny, {"data.labels": 20, "data.spread": spread})
    short = train(with_values(tiny, {"training.epochs": 1}), tmp_path, "run").run_dir
    assert "labels_gained" not in read_manifest(Path(short) / "export").provenance
    run = RunDir(train(tiny, resume=short).run_dir)
    gained = [record.metrics["labels_gained"] for record in run.records()]
    assert gained[0] == 0 < gained[2]
    origin = read_manifest(Path(run.location) / "export").provenance
    assert origin["labels_gained"] == gained[2]
    assert "rebuild=1, first=none" in str(origin["labels_spread"])
    assert not run.exists("spread.parquet")


def _damage(run: RunDir, how: str) -> None:
    place = run.local_path
    assert place is not None
    match how:
        case "checkpoints":
            for state in place.glob("checkpoints/*/state.pt"):
                state.write_bytes(b"damaged")
        case "definition":
            (place / "experiment.yaml").unlink()
        case "empty definition":
            (place / "experiment.yaml").write_text("")
        case "half a definition":
            (place / "experiment.yaml").write_text("seed: 0\nseed: 1\n")
        case "record":
            (place / "record/0001.json").unlink()
        case "half a record":
            (place / "record/0002.json").write_text('{"epoch": 2')
        case "labels":
            (place / "labels.parquet").write_bytes(b"PAR1")
        case "summary":
            (place / "summary.json").write_text("[")


@pytest.mark.parametrize(
    ("how", "problem"),
    [
        ("checkpoints", "no checkpoint of .* can be used"),
        ("definition", r"experiment.yaml cannot be read: it is missing; restore it from a copy"),
        ("empty definition", r"experiment.yaml cannot be read: .*restore it from a copy"),
        ("half a definition", r"line 2: seed is set already, in line 1; .*restore it"),
        ("record", "the record of epoch 1 .* is missing, .*restore the folder record"),
        ("half a record", r"0002.json is not a record of an epoch .*delete it and resume"),
        ("labels", r"labels.parquet cannot be read"),
    ],
)
def test_a_resume_that_fails_has_changed_nothing(
    tiny: Experiment, tmp_path: Path, endings: list[str | None], how: str, problem: str
) -> None:
    run_dir = train(with_values(tiny, {"training.epochs": 2}), tmp_path, "whole").run_dir
    _damage(RunDir.open(run_dir), how)
    before = _content(Path(run_dir))
    with pytest.raises(BadInput, match=problem) as refused:
        train(tiny, resume=run_dir)
    assert _content(Path(run_dir)) == before
    assert len(str(refused.value).splitlines()) <= 2
    assert endings == [None]


def _content(folder: Path) -> dict[str, bytes]:
    files = (file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def test_a_resume_that_dies_later_keeps_what_was_reached(
    tiny: Experiment, tmp_path: Path, endings: list[str | None]
) -> None:
    whole = train(with_values(tiny, {"training.epochs": 1}), tmp_path, "mine")

    def die(now: Progress) -> None:
        if now.updates == 14:  # in the third epoch
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="disk is full"):
        train(tiny, resume=whole.run_dir, watch=Watch(progress=die))
    assert RunDir.open(whole.run_dir).summary() == whole.summary
    assert train(tiny, resume=whole.run_dir).summary["epochs"] == 3
    assert endings == [None, "FAILED", None]


def test_a_resume_goes_back_to_a_checkpoint_of_these_networks(
    tiny: Experiment,
    tmp_path: Path,
    endings: list[str | None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    whole = train(tiny, tmp_path, "whole")
    parted = train(with_values(tiny, {"training.epochs": 2}), tmp_path, "parted")
    run = RunDir.open(parted.run_dir)
    found = Checkpoints(run).latest()
    assert found is not None
    step, state = found
    state["generator"]["layers.0.weight"] = state["generator"]["layers.0.weight"][:, 1:]
    Checkpoints(run, keep_last=9).save(step, state)  # a later one of the same step
    resumed = train(tiny, resume=run.location)
    assert "generator: the tensor layers.0.weight is float32" in caplog.text
    assert "going back to checkpoint 00000012" in caplog.text
    assert_same_state(final_state(resumed.run_dir), final_state(whole.run_dir))


def test_a_run_does_not_get_shorter(
    tiny: Experiment, tmp_path: Path, endings: list[str | None]
) -> None:
    run_dir = train(with_values(tiny, {"training.epochs": 2}), tmp_path, "long").run_dir
    with pytest.raises(BadInput, match=r"has made 2 epochs, more than training\.epochs=1; set 2"):
        train(with_values(tiny, {"training.epochs": 1}), resume=run_dir)
    assert RunDir.open(run_dir).summary() is not None


def test_bad_input_moves_nothing_aside(
    tiny: Experiment, tmp_path: Path, endings: list[str | None]
) -> None:
    RunDir.create(tmp_path / "mine", "seed: 7")
    for values in ({"data.labels": 10_000}, {"scaling.gpus": 1000.0}, {"networks.width": 10**9}):
        with pytest.raises(BadInput):
            train(with_values(tiny, values), tmp_path, "mine", replace=True)
        assert RunDir.open(tmp_path / "mine").definition() == "seed: 7"
    for name in ("mine", "new"):
        train(with_values(tiny, {"training.epochs": 1}), tmp_path, name, replace=True)
        assert RunDir.open(tmp_path / name).summary() is not None
    assert RunDir.open(tmp_path / "mine.1").definition() == "seed: 7"
    assert not (tmp_path / "new.1").exists()


def test_one_process_at_a_time_writes_a_run(
    tiny: Experiment, tmp_path: Path, endings: list[str | None]
) -> None:
    run = RunDir.create(tmp_path / "mine", tiny.to_yaml())
    search = SearchDir.create(tmp_path / "search", "")
    trial = RunDir.create(tmp_path / "search/trials/00003", tiny.to_yaml())
    for written in (run, search, RunDir(tmp_path / "new")):
        write_foreign_lease(written)
    before = _content(tmp_path)
    with pytest.raises(BadInput, match=r"the run .*mine .* by process 4711 on host elsewhere"):
        train(tiny, tmp_path, "mine", replace=True)
    for arguments in ({"out": tmp_path, "name": "new"}, {"resume": run.location}):
        with pytest.raises(BadInput, match="by process 4711 on host elsewhere"):
            train(tiny, **arguments)
    with pytest.raises(BadInput, match=r"the search .*search is being written"):
        train(tiny, resume=trial.location)
    assert _content(tmp_path) == before
    assert endings == []


def test_a_process_that_another_one_took_for_dead_writes_nothing_more(
    tiny: Experiment,
    tmp_path: Path,
    endings: list[str | None],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(lease, "BEAT", 0.02)
    run = RunDir(tmp_path / "mine")

    def stand_still(now: Progress) -> None:
        if now.updates == 8:  # in the middle of the second epoch
            write_foreign_lease(run)
            while "is written by process 4711 on host elsewhere" not in caplog.text:
                time.sleep(0.01)

    with pytest.raises(LeaseLost, match=r"another one writes .*mine now"):
        train(tiny, tmp_path, "mine", watch=Watch(progress=stand_still))
    assert run.folders("checkpoints") == ["00000006"]
    assert run.summary() is None
    assert endings == ["RUNNING"]


def test_a_loss_that_is_not_finite_ends_the_run_as_failed(
    tiny: Experiment, tmp_path: Path, endings: list[str | None]
) -> None:
    wild = with_values(tiny, {"optimizer.generator_lr": 1e30, "optimizer.discriminator_lr": 1e30})
    with pytest.raises(NonFiniteLoss, match="became NaN or infinite"):
        train(wild, tmp_path, "wild")
    assert endings == ["FAILED"]


def test_bad_input_is_refused_before_anything_is_written(
    tiny: Experiment, tmp_path: Path, endings: list[str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    cases = {
        "500 workers x": {"scaling.workers": 500, "training.batch_size": 1000}
        | {"label_sampling.batch_size": 1000},
        "ask for GPUs": {"scaling.gpus": 1000.0},
        "is not a label column": {"codes.supervised": ["digti"]},
        "more labels": {"data.labels": 10_000},
        "GiB for a batch of 1,000,000,000,000 images": {"training.batch_size": 10**12},
        "lower the sizes in networks": {"networks.width": 10**9},
        "parameters of G and D": {"codes.noise": 10**10},
    }
    for message, values in cases.items():
        with pytest.raises(BadInput, match=message):
            train(with_values(tiny, values), tmp_path, "bad")
    assert not (tmp_path / "bad").exists()
    with pytest.raises(BadInput, match="cannot be shared evenly by 3 workers"):
        with_values(tiny, {"scaling.workers": 3})
    RunDir.create(tmp_path / "taken", "")
    with pytest.raises(BadInput, match="--resume"):
        train(tiny, tmp_path, "taken")
    with pytest.raises(BadInput, match="is not a run directory"):
        train(tiny, resume=tmp_path / "nothing")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(BadInput, match="cannot write the run directory"):
        train(tiny, tmp_path / "file", "run")


@pytest.mark.parametrize("problem", [Unreachable, Busy, Deleted])
def test_a_store_that_is_of_no_use_now_costs_nothing(
    problem: type[BadInput],
    tiny: Experiment,
    tmp_path: Path,
    endings: list[str | None],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def down(uri: str, experiment: str) -> None:
        raise problem(f"{uri} is of no use for {experiment}")

    monkeypatch.setattr(driver, "check", down)
    short = with_values(tiny, {"training.epochs": 1, "tracking.uri": "http://nowhere:5000"})
    assert train(short, tmp_path, "alone").summary["tracking_uri"] == "http://nowhere:5000"
    assert "http://nowhere:5000 is of no use for digits" in caplog.text
    assert "ssgan track sync" in caplog.text


def test_the_environment_names_the_tracking_server(
    tiny: Experiment, tmp_path: Path, endings: list[str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://head:5000")
    short = with_values(tiny, {"training.epochs": 1})
    assert train(short, tmp_path, "there").summary["tracking_uri"] == "http://head:5000"
    own = with_values(short, {"tracking.uri": "http://other:5000"})
    assert train(own, tmp_path, "other").summary["tracking_uri"] == "http://other:5000"


def test_the_export_becomes_a_registered_model(
    tiny: Experiment,
    tmp_path: Path,
    endings: list[str | None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    registered: list[tuple[str, str, str]] = []

    def register(uri: str, folder: str, name: str, run: RunDir) -> tuple[str, int]:
        NamedGenerator.load(folder)
        registered.append((uri, name, run.info.name))
        return name, 1

    monkeypatch.setattr(driver, "register", register)
    values = {"training.epochs": 1, "tracking.register_as": "digits-generator"}
    result = train(with_values(tiny, values), tmp_path, "registered")
    assert registered == [(result.summary["tracking_uri"], "digits-generator", "registered")]
