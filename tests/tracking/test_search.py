"""A search in MLflow says what its directory says: a parent, and a child for each trial."""

import json
from collections import Counter

import pytest
from mlflow import MlflowClient

from ssgan.records.searchdir import SearchDir, TrialRow
from ssgan.report.pages import SearchPages
from ssgan.tracking.recorder import Recorder
from ssgan.tracking.search import SearchRecorder, mlflow_status, sync_search
from tests.helpers.searchdirs import (
    START,
    commit,
    exploit,
    fill_search,
    make_values,
    tiny,
)
from tests.helpers.tracking import (
    begin,
    count_calls,
    limited,
    pictures_of,
    points,
    recorded,
    runs_of,
)


def test_a_search_is_a_parent_and_its_trials_are_children(uri: str, search: SearchDir) -> None:
    rows = fill_search(search, trials=6, epochs=5, finals=1)
    search.write_summary({"zero_one_loss_ema": 0.01})
    report = sync_search(uri, search)
    parent, children = runs_of(uri, search)
    epochs = sum(row.epoch for row in rows)
    assert (report.trials, report.synced, report.epochs, report.images) == (9, 9, epochs, epochs)
    assert (report.status, report.mlflow_run_id) == ("FINISHED", parent.info.run_id)
    assert (parent.info.status, parent.info.run_name) == ("FINISHED", search.info.name)
    assert set(children) == {row.trial for row in rows}
    for row in rows:
        child = children[row.trial]
        assert points(uri, child) == recorded(search, row)
        assert child.data.params["objective.lambda1"] == json.dumps(row.values["objective.lambda1"])
        assert child.data.tags["ssgan.stage"] == row.stage
        assert child.data.tags["ssgan.seed"] == str(row.seed)
        assert child.data.tags["ssgan.status"] == row.status
        assert child.data.tags.get("ssgan.stop_reason") == row.reason
        assert child.info.status == ("FAILED" if row.status == "FAILED" else "FINISHED")
        assert child.info.end_time == max(r.timestamp_ms for r in search.run(row).records())
    assert {"STOPPED", "FINISHED", "FAILED"} == {row.status for row in rows}


def test_the_parent_tells_what_was_searched_and_what_came_of_it(
    uri: str, search: SearchDir
) -> None:
    rows = fill_search(search, trials=6, epochs=5)
    search.write_summary({"zero_one_loss_ema": 0.01})
    search.write_bytes("report/parallel-coordinates.png", b"drawn by a version before this one")
    sync_search(uri, search)
    parent, _ = runs_of(uri, search)
    assert parent.data.params["space.objective.lambda1.kind"] == "loguniform"
    assert parent.data.params["scheduler.kind"] == "asha"
    assert parent.data.params["metric"] == "zero_one_loss_ema"
    assert parent.data.tags["ssgan.trials"] == "1 finished, 4 stopped early, 1 failed"
    best = min((row for row in rows if row.status != "FAILED"), key=lambda row: row.metric or 1)
    assert parent.data.tags["ssgan.best_trial"] == best.trial
    note = parent.data.tags["mlflow.note.content"]
    assert f"| {best.trial} | {best.metric:.4f} |" in note
    assert "1 finished, 4 stopped early, 1 failed" in note
    client = MlflowClient(uri)
    assert {file.path for file in client.list_artifacts(parent.info.run_id)} == {
        "report",
        "search.yaml",
        "summary.json",
        "trials.json",
    }
    pages = {file.path for file in client.list_artifacts(parent.info.run_id, "report")}
    drawn = {f"report/{name}" for name in SearchPages().draw(search)}
    assert pages == drawn | {"report/parallel-coordinates.png"}


def test_however_often_it_is_sent_everything_is_there_once(uri: str, search: SearchDir) -> None:
    rows = fill_search(search, trials=4, epochs=4)
    first = SearchRecorder(search, uri)
    first.sync()
    before = [points(uri, runs_of(uri, search)[1][row.trial]) for row in rows]
    best = points(uri, runs_of(uri, search)[0], "best_so_far/zero_one_loss_ema")
    assert first.sync().synced == 0
    again = sync_search(uri, search)  # another process
    assert (again.synced, again.epochs, again.images) == (4, 0, 0)
    parent, children = runs_of(uri, search)
    assert [points(uri, children[row.trial]) for row in rows] == before
    assert points(uri, parent, "best_so_far/zero_one_loss_ema") == best


def test_only_trials_with_news_cost_anything(
    uri: str, search: SearchDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [begin(search, trial, epochs=2) for trial in range(3)]
    search.write_rows(rows)
    recorder = SearchRecorder(search, uri)
    assert recorder.sync().epochs == 6
    commit(search.run(rows[1]), 1, 3, 0.1, tiny(1, 3, 0))
    rows[1] = rows[1].model_copy(update={"epoch": 3, "metric": 0.1})
    search.write_rows(rows)
    read: list[str] = []
    original = SearchDir.read_bytes
    monkeypatch.setattr(
        "ssgan.base.storage.Folder.read_bytes",
        lambda self, name: read.append(f"{self.base_name}/{name}") or original(self, name),
    )
    report = recorder.sync()
    assert (report.synced, report.epochs, report.images) == (1, 1, 1)
    of_trials = [name for name in read if name.startswith("0000")]
    assert {name.partition("/")[0] for name in of_trials} == {"00001"}
    assert [name for name in of_trials if "record" in name] == [
        "00001/record/0003.json",
        "00001/record/0003/samples_ema.png",
    ]


def test_the_best_trials_have_all_pictures_and_the_others_their_last(
    uri: str, search: SearchDir
) -> None:
    rows = fill_search(limited(search, 2), trials=6, epochs=5, finals=1)
    search.write_summary({})
    sync_search(uri, search)
    scored = [row for row in rows if row.stage == "search" and row.is_scored]
    best = {row.trial for row in sorted(scored, key=lambda row: row.metric or 0)[:2]}
    assert pictures_of(uri, search) == {
        row.trial: list(range(1, row.epoch + 1))
        if row.trial in best or row.stage == "final"
        else [row.epoch]
        for row in rows
    }
    again = sync_search(uri, search)
    assert (again.images, again.epochs) == (0, 0)


def test_pictures_follow_who_is_best_at_the_time(uri: str, search: SearchDir) -> None:
    limited(search, 1)
    rows = [
        begin(search, trial, epochs=2).model_copy(update={"metric": metric})
        for trial, metric in enumerate((0.2, 0.3))
    ]
    search.write_rows(rows)
    recorder = SearchRecorder(search, uri)
    recorder.sync()
    assert pictures_of(uri, search) == {"00000": [1, 2], "00001": []}
    rows[1] = rows[1].model_copy(update={"metric": 0.1})
    search.write_rows(rows)
    recorder.sync()  # what is there stays
    assert pictures_of(uri, search) == {"00000": [1, 2], "00001": [1, 2]}
    commit(search.run(rows[0]), 0, 3, 0.2, tiny(0, 3, 0))
    rows[0] = rows[0].model_copy(update={"epoch": 3})
    search.write_rows(rows)
    recorder.sync()
    assert pictures_of(uri, search)["00000"] == [1, 2]
    search.write_rows([rows[0].model_copy(update={"status": "STOPPED"}), rows[1]])
    recorder.sync()
    assert pictures_of(uri, search)["00000"] == [1, 2, 3]


def test_a_long_search_costs_two_calls_an_epoch_and_trial(
    uri: str, search: SearchDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [begin(search, trial) for trial in range(3)]
    search.write_rows(rows)
    recorder = SearchRecorder(search, uri)
    recorder.sync()
    called = count_calls(monkeypatch)
    for epoch in (1, 2, 3):
        called.clear()
        for trial, row in enumerate(rows):
            commit(search.run(row), trial, epoch, 1 / epoch, tiny(trial, epoch, 0))
            rows[trial] = row.model_copy(update={"epoch": epoch, "metric": 1 / epoch})
        search.write_rows(rows)
        assert recorder.sync().epochs == 3
    of_parent = {"get_experiment_by_name": 1, "log_batch": 1}
    assert Counter(called) == Counter(of_parent) + Counter({"log_batch": 3, "log_artifacts": 3})


def test_in_a_large_search_trials_that_do_not_lead_are_sent_several_epochs_at_a_time(
    uri: str, search: SearchDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ssgan.tracking.search._CROWD", 1)
    limited(search, 1)
    rows = [begin(search, trial, epochs=1) for trial in range(2)]
    recorder = SearchRecorder(search, uri)
    sent = []
    for epoch in range(2, 9):
        for trial in (0, 1):
            commit(search.run(rows[trial]), trial, epoch, 1.0, tiny(trial, epoch, 0))
            update = {"epoch": epoch, "metric": 0.1 + trial}
            rows[trial] = rows[trial].model_copy(update=update)
        search.write_rows(rows)
        sent.append(recorder.sync(status="RUNNING").epochs)
    assert sent == [4, 1, 1, 1, 1, 6, 1]
    assert recorder.sync(status="FINISHED").epochs == 1
    assert [len(points(uri, run)) for run in runs_of(uri, search)[1].values()] == [8, 8]


def test_what_there_is_no_time_for_waits_for_the_next_sync(uri: str, search: SearchDir) -> None:
    search.write_rows([begin(search, trial, epochs=2) for trial in range(3)])
    recorder = SearchRecorder(search, uri)
    time_for = iter([True, False, False])
    first = recorder.sync(has_time=lambda: next(time_for))
    assert (first.synced, first.missing, first.epochs) == (1, 2, 2)
    assert runs_of(uri, search)[0].data.tags["ssgan.trials"] == "3 running"
    rest = recorder.sync()
    assert (rest.synced, rest.missing, rest.epochs) == (2, 0, 4)


def test_epochs_that_the_search_has_not_seen_are_not_told(uri: str, search: SearchDir) -> None:
    row = begin(search, epochs=5)
    search.write_rows([row.model_copy(update={"epoch": 3, "status": "STOPPED"})])
    sync_search(uri, search)
    _, children = runs_of(uri, search)
    assert [step for step, _ in points(uri, children["00000"])] == [1, 2, 3]
    assert children["00000"].info.status == "FINISHED"
    assert children["00000"].data.tags["ssgan.stop_reason"] == "by the scheduler"


def test_waiting_trials_are_not_there_yet(uri: str, search: SearchDir) -> None:
    waiting = TrialRow(trial="00001", stage="search", values={}, seed=0)
    search.write_rows([begin(search, epochs=1), waiting])
    assert sync_search(uri, search).status == "RUNNING"
    parent, children = runs_of(uri, search)
    assert set(children) == {"00000"}
    assert children["00000"].info.status == parent.info.status == "RUNNING"


def test_a_trial_that_failed_before_its_directory_is_there_with_its_reason(
    uri: str, search: SearchDir
) -> None:
    row = TrialRow(
        trial="00000",
        stage="search",
        values=make_values(0),
        seed=0,
        status="FAILED",
        reason="the node died",
    )
    search.write_rows([row])
    for _ in range(2):
        sync_search(uri, search)
    child = runs_of(uri, search)[1]["00000"]
    assert (child.info.status, child.data.tags["ssgan.stop_reason"]) == ("FAILED", row.reason)
    assert child.data.params["objective.lambda1"] == str(row.values["objective.lambda1"])
    # A resume tries it again, and then it has a directory.
    search.write_rows([begin(search, epochs=2)])
    sync_search(uri, search)
    child = runs_of(uri, search)[1]["00000"]
    assert len(points(uri, child)) == 2
    assert child.info.status == "RUNNING"


@pytest.mark.parametrize(
    ("row_status", "during", "after"),
    [
        ("RUNNING", "RUNNING", "KILLED"),
        ("PAUSED", "RUNNING", "KILLED"),
        ("PENDING", "RUNNING", "KILLED"),
        ("FINISHED", "FINISHED", "FINISHED"),
        ("STOPPED", "FINISHED", "FINISHED"),
        ("FAILED", "FAILED", "FAILED"),
    ],
)
def test_status_in_the_words_of_mlflow(row_status: str, during: str, after: str) -> None:
    row = TrialRow.model_validate(
        {"trial": "00000", "stage": "search", "values": {}, "seed": 0, "status": row_status}
    )
    assert mlflow_status(row, "RUNNING") == during
    assert mlflow_status(row, "FAILED") == mlflow_status(row, "FINISHED") == after


def test_a_search_that_is_killed_closes_its_trials_and_a_resume_opens_them(
    uri: str, search: SearchDir
) -> None:
    row = begin(search, epochs=1)
    search.write_rows([row])
    SearchRecorder(search, uri).sync(status="KILLED")
    parent, children = runs_of(uri, search)
    assert parent.info.status == children["00000"].info.status == "KILLED"
    assert parent.info.end_time == children["00000"].info.end_time == START + 10_000
    resumed = SearchRecorder(search, uri)
    resumed.sync(status="RUNNING")
    parent, children = runs_of(uri, search)
    assert parent.info.status == children["00000"].info.status == "RUNNING"
    search.run(row).write_summary({})
    search.write_rows([row.model_copy(update={"status": "FINISHED"})])
    resumed.sync(status="FINISHED")
    parent, children = runs_of(uri, search)
    assert parent.info.status == children["00000"].info.status == "FINISHED"


def test_the_summary_of_an_earlier_end_does_not_close_a_search_whose_trials_train(
    uri: str, search: SearchDir
) -> None:
    search.write_summary({})
    row = begin(search, epochs=1)
    search.write_rows([row])
    assert SearchRecorder(search, uri).sync().status == "RUNNING"
    search.write_rows([row.model_copy(update={"status": "FINISHED"})])
    assert SearchRecorder(search, uri).sync().status == "FINISHED"


def test_exploits_are_lineage_and_their_settings_metrics(uri: str, search: SearchDir) -> None:
    row = begin(search, epochs=4)
    first = row.values["objective.lambda1"]
    search.write_rows([row])
    recorder = SearchRecorder(search, uri)
    recorder.sync()
    run = search.run(row)
    for epoch in (3, 4):  # what it did itself counts no more
        run.delete(f"record/{epoch:04d}.json")
    for epoch in (3, 4, 5):
        commit(run, 9, epoch, 0.01, tiny(9, epoch, 0))
    lineage = (exploit(2, "00007", objective__lambda1=0.4),)
    search.write_rows([row.model_copy(update={"lineage": lineage, "epoch": 5, "metric": 0.01})])
    recorder.sync()
    _, children = runs_of(uri, search)
    child = children["00000"]
    assert child.data.tags["ssgan.donors"] == "00007"
    (told,) = json.loads(child.data.tags["ssgan.lineage"])
    assert told == {"epoch": 2, "source_trial": "00007", "values": {"objective.lambda1": 0.4}}
    assert points(uri, child, "objective.lambda1") == [(1, first), (3, 0.4)]
    assert child.data.metrics["zero_one_loss_ema"] == 0.01
    # MLflow forgets nothing: the epochs that were run again have both points, the later one counts.
    assert {(3, 0.01), (4, 0.01), (5, 0.01)} <= set(points(uri, child))
    assert len(points(uri, child)) == 7


def test_exports_of_trials_stay_at_home(uri: str, search: SearchDir) -> None:
    (row,) = fill_search(search, trials=1, epochs=2)
    run = search.run(row)
    run.write_bytes("export/model.safetensors", b"large")
    run.write_bytes("figures/curve.png", b"small")
    run.write_summary({})
    search.write_rows([row.model_copy(update={"status": "FINISHED"})])
    sync_search(uri, search)
    child = runs_of(uri, search)[1]["00000"]
    there = {file.path for file in MlflowClient(uri).list_artifacts(child.info.run_id)}
    assert there == {"experiment.yaml", "figures", "images", "summary.json"}
    # The winner is sent whole when it is registered, to the same run.
    whole = Recorder(uri, search.info.name).sync(run)
    assert whole.mlflow_run_id == child.info.run_id
    assert (whole.sent, whole.images) == (0, 0)


def test_the_winner_is_marked_and_one_that_is_it_no_more_is_not(
    uri: str, search: SearchDir
) -> None:
    rows = fill_search(search, trials=4, epochs=4, finals=1)
    first, second = (row for row in rows if row.stage == "final" and row.trial[-1] in "12")
    sync_search(uri, search)

    def marked() -> dict[str, str]:
        found = runs_of(uri, search)[1]
        return {
            run.info.run_name: trial
            for trial, run in found.items()
            if run.data.tags.get("ssgan.mark") or run.info.run_name != trial
        }

    assert marked() == {}
    search.write_summary({"winner": first.run})
    recorder = SearchRecorder(search, uri)
    recorder.sync()
    assert marked() == {f"{first.trial} (winner)": first.trial}
    assert recorder.sync().synced == 0
    search.write_summary({"winner": second.run})
    assert recorder.sync().synced == 2
    assert marked() == {f"{second.trial} (winner)": second.trial}
    search.delete("summary.json")  # it is resumed, by another process
    SearchRecorder(search, uri).sync(status="RUNNING")
    assert marked() == {}
