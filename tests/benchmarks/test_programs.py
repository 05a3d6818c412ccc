"""Every program under benchmarks/ runs, at its smallest size.

The GPU's is in test_gpu.py, those on few labels in test_few_labels.py and test_uneven_heap.py,
that on what samples teach in test_teaches.py.
"""

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

import benchmarks
from benchmarks import (
    answers,
    draws,
    driver,
    early_stopping,
    labeled_images,
    run,
    seeds,
    storage,
    threads,
    turned_digits,
    whole_run,
    workers,
)
from ssgan.base.errors import BadInput
from ssgan.data.store import Store
from ssgan.experiment.loading import load_experiment
from ssgan.method.codes import Code, LatentSpace
from ssgan.networks.dcgan import DcganConfig
from ssgan.records.rundir import RunDir
from ssgan.records.searchdir import SearchDir, TrialRow
from ssgan.tuning import Search, load_search, program
from tests.helpers.exports import save_untrained
from tests.helpers.searchdirs import commit, loss_of, make_run, make_values

EPOCHS = 4
TESTED = {
    *("answers", "draws", "driver", "early_stopping", "few_labels", "gpu", "labeled_images"),
    *("run", "seeds", "slider_page", "storage", "teaches", "threads", "turned_digits"),
    *("uneven_heap", "whole_run", "workers"),
}


def test_every_program_is_tested() -> None:
    files = Path(benchmarks.__path__[0]).glob("*.py")
    assert {file.stem for file in files if "__main__" in file.read_text()} == TESTED


def test_the_training_step_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    run.main(["--small"])
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert [row.split(" | ")[0] for row in rows[2:]] == [
        "| plain step / shipped step",
        "| plain step / shipped step in bfloat16",
        "| shipped step / the same in bfloat16",
        "| plain step with a second forward of G / plain step",
        "| layers' own kernels / shipped step",
        "| Natsu6767's loop / shipped step",
        "| zjw511's loop / shipped step",
        "| data path / shipped step",
    ]
    run.main(["--small", "--time", "shipped", "0"])
    seconds, drawing = json.loads(capsys.readouterr().out)
    assert seconds > drawing > 0


def test_a_run_is_divided_into_parts(capsys: pytest.CaptureFixture[str]) -> None:
    whole_run.main(["--small"])
    row, one, eight = [line for line in capsys.readouterr().out.splitlines() if "| digits" in line]
    waits = [float(re.findall(r"(\d+\.\d)%", line)[0]) for line in (one, eight)]
    assert 0 < waits[0] < waits[1] < 100
    *parts, beside, rest = re.findall(r"(\d+\.\d)%", row.split(" (")[0])
    assert float(beside) > 0
    assert len(parts) == len(whole_run.PARTS)
    assert sum(map(float, parts)) == pytest.approx(100, abs=0.5)
    updates = float(parts[whole_run.PARTS.index("updates")])
    assert float(rest) == pytest.approx(100 - updates, abs=0.11)


@pytest.mark.parametrize(("evaluation", "between"), [(0.5, 0.2), (3.0, 2.2)])
def test_eight_workers_wait_for_an_evaluation_that_is_longer_than_an_epoch(
    evaluation: float, between: float
) -> None:
    eight = whole_run.Waiting(8.0, 0.2, evaluation).of_workers(8)
    assert eight == (1.0, pytest.approx(between), evaluation)
    assert eight.share == pytest.approx(between / (1 + between))


def test_the_time_of_marked_processes_is_added_up() -> None:
    mark = "marked by a test"
    busy = "import time\nwhile time.process_time() < 0.5: pass\nprint(flush=True)\ninput()"
    spent: dict[psutil.Process, tuple[str, float]] = {}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", busy],
            env={**os.environ, "SSGAN_WHOLE_RUN": value},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for value in (mark, "another mark")
    ]
    for process in processes:
        process.stdout.readline()
    whole_run._look(mark, processes[0].pid, spent)
    for process in processes:
        process.communicate(b"\n")
    (found,) = spent.items()
    assert found[0].pid == processes[0].pid
    assert found[1][0] == "driver"
    assert found[1][1] >= 0.4


def test_a_data_set_is_timed_beside_the_generator(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = Code(name="style", kind="continuous")
    space = LatentSpace(supervised=(), unsupervised=(code,), noise=4)
    export = save_untrained(tmp_path, DcganConfig(width=4, hidden=16), space, (1, 8, 8))
    labeled_images.main([str(export), "--small"])
    told = capsys.readouterr().out
    assert "300 images with every code" in told
    for title in ("a folder", "Parquet", "WebDataset shards"):
        assert re.search(rf"8 x 8 \| {title} \| .* \| \d+\.\d\d \(.*, n = 1\) \|", told)


def test_threads_are_timed_alone_and_beside_a_busy_process(
    capsys: pytest.CaptureFixture[str],
) -> None:
    threads.main(["--small"])
    (row,) = [line for line in capsys.readouterr().out.splitlines() if "| digits" in line]
    number = r"\d+\.\d\d"
    told = rf"{number} \({number} to {number}\)"
    assert re.fullmatch(rf"\| digits \| float32 \| 1 \| {told} \| {told} \|", row)


def test_what_answers_tell_is_held_against_the_truth(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answers.main(["--small"])
    rows = [
        line.split(" | ") for line in capsys.readouterr().out.splitlines() if "digits |" in line
    ]
    assert [row[1] for row in rows] == ["20", "40", "20", "40"]
    read, rounds = (float(rows[1][column]) for column in (2, 3))
    assert min(read, rounds) > 0.85
    assert 0 < float(rows[2][3]) < 0.05  # error of a class's share
    heap = answers.HEAPS[1]._replace(count=300)
    with pytest.raises(BadInput, match="MNIST"):
        answers.open_split(heap.source, tmp_path)


def test_the_page_is_not_written_from_a_small_measurement(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        run.main(["--small", "--write"])
    assert "leave --write out" in capsys.readouterr().err


def test_what_a_rank_draws_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    draws.main(["--small"])
    page = capsys.readouterr().out
    rows = [line.split(" | ")[0].removeprefix("| ") for line in page.splitlines() if "s (" in line]
    assert rows == [
        "the order of a cycle of 10,000 images",
        "128 positions of 10,000 images",
        "noise, 1,024 images of 1x8x8, the only rank",
        "noise, 1,024 images of 1x8x8, each of 2 ranks",
        "latents, 62 numbers of noise and 3 codes an image",
        "affine maps for four looks at an image",
        "coins",
        "128 of 10,000 images",
    ]


def fill(search: SearchDir, extents: list[int]) -> None:
    """Write a finished search whose trials ended after so many epochs."""
    rows = []
    for number, extent in enumerate(extents):
        values = make_values(number)
        row = TrialRow(
            trial=f"{number:05d}",
            stage="search",
            values=values,
            seed=0,
            status="FINISHED" if extent == EPOCHS else "STOPPED",
            epoch=extent,
            metric=loss_of(values, extent),
        )
        trial = make_run(search, row)
        for epoch in range(1, extent + 1):
            commit(trial, number, epoch, loss_of(values, epoch), None)
        rows.append(row)
    best = min(rows, key=lambda row: row.metric or 1.0)
    for seed in (1, 2):
        again = {"trial": f"{best.trial}-s{seed}", "stage": "final", "seed": seed}
        rows.append(best.model_copy(update=again))
        commit(make_run(search, rows[-1]), seed, 1, best.metric, None)
    search.write_rows(rows)
    search.write_summary({})


def test_early_stopping_is_measured_on_two_searches(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["search.scheduler={kind: asha, grace: 2, reduction: 2}", f"training.epochs={EPOCHS}"]
    unstopped = ["search.scheduler={kind: none}", "search.finals.best=0"]
    made: dict[str, Search] = {
        "asha": load_search("lambdas", overrides=asked),
        "unstopped": load_search("lambdas", overrides=[*asked, *unstopped]),
    }
    for name, extents in {"asha": [EPOCHS, 2, EPOCHS, 2], "unstopped": [EPOCHS] * 4}.items():
        fill(SearchDir.create(tmp_path / name, made[name].to_yaml()), extents)
    page = tmp_path / "page.md"
    early_stopping.main(
        ["--out", str(tmp_path), "--page", str(page), "--orders", "2", "mnist", *asked]
    )
    text = page.read_text()
    assert text == capsys.readouterr().out[:-1]
    assert "In 4 of 4 trials the zero_one_loss_ema of every epoch" in text
    images = 6_400 * (2 * EPOCHS + 2 * 2), 6_400 * 4 * EPOCHS
    ratio = images[0] / images[1]
    assert f"| all trials over | {images[0]:,} | {images[1]:,} | {ratio:.2f} |" in text
    assert text.count("stopped after epoch 2") == 2


def test_a_table_over_seeds_is_made_of_finished_runs(tmp_path: Path) -> None:
    losses = (0.01, 0.03)
    for seed, loss in enumerate(losses):
        made = load_experiment("digits", {"seed": seed})
        finished = RunDir.create(tmp_path / str(seed), made.to_yaml())
        finished.write_summary(
            {"metrics": {"zero_one_loss_ema": loss}, "environment": {"ssgan": "1.0"}}
        )
    page = tmp_path / "page.md"
    runs = [str(tmp_path / "0"), str(tmp_path / "1")]
    seeds.main([*runs, "--title", "Digits", "--command", "ssgan train", "--page", str(page)])
    assert "| mean | 0.0200 |\n| standard deviation | 0.0141 |" in page.read_text()


def test_turned_digits_are_a_folder_with_a_partial_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "turned"
    turned_digits.main([str(folder), "--share", "0.5", "--count", "20"])
    assert capsys.readouterr().out == f"20 pictures in {folder}\n"
    with (folder / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(folder / row["file"]).is_file() for row in rows] == [True] * 20
    for column in ("shape", "angle"):
        assert 0 < sum(bool(row[column]) for row in rows) < 20


def test_workers_are_compared_over_seeds_and_synchronization_is_timed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "runs")
    workers.main(["--small", "--out", out, "--seeds", "1", "--rounds", "2", "--updates", "1"])
    page = capsys.readouterr().out
    found = RunDir(Path(out, "workers-1-seed-1")).summary()
    assert found is not None
    loss = f"{found['metrics']['zero_one_loss_ema']:.4f}"
    assert f"| 1 worker of 64 images | {loss} | {loss} |" in page
    assert "| 1 worker, groups of 8 | " in page
    assert "| wall time | " in page
    with pytest.raises(SystemExit):
        workers.main(["--small", "--write"])


def test_what_a_search_costs_its_driver_is_measured(
    digits_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "_register", lambda *args: {})  # which test_registry does
    page = tmp_path / "page.md"
    told = ["--out", str(tmp_path), "--store", "sqlite", "--trials", "2", "--epochs", "2"]
    driver.main([*told, "--rate", "1000", "--measure"])
    found = json.loads((tmp_path / "sqlite-2x2.json").read_text())
    assert found["trial_epochs"] == (2 + 1) * 2  # stage two has one trial
    assert found["warnings"] == []
    assert found["calls"]["create_run"] == 1 + 3
    assert found["cpu_seconds"] > 0
    assert 0 < found["end_seconds"] <= found["wall_seconds"]
    larger = {"trials": 20, "trial_epochs": 60, "cpu_seconds": 10 * found["cpu_seconds"]}
    (tmp_path / "larger.json").write_text(json.dumps({**found, **larger}))
    driver.main(["--out", str(tmp_path), "--page", str(page)])
    text = page.read_text()
    assert re.search(r"\| sqlite \| 2 x 2 \|.*\n\| sqlite \| 20 x 2 \|", text)
    assert "CPU grows with trials to the power of 1.00 (sqlite" in text


def test_storage_costs_an_epoch_requests_and_time(capsys: pytest.CaptureFixture[str]) -> None:
    storage.main(["--small", "--epochs", "3"])
    lines = capsys.readouterr().out.splitlines()
    rows = [line.split(" | ") for line in lines if line.startswith("| ") and " waits " in line]
    assert len(rows) == 6
    for place, _, requests in rows:
        if place.startswith("| S3"):
            assert 4 <= int(requests.rpartition("at most ")[2].rstrip(" |")) <= 12
    with pytest.raises(SystemExit):
        storage.main(["--small", "--write"])
