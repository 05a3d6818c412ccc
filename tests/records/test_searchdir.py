"""The search directory: made once, its table replaced whole, its runs where the rows say."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssgan.base.errors import BadInput, CorruptFile
from ssgan.records.rundir import RunDir
from ssgan.records.searchdir import Exploit, SearchDir, TrialRow, hold_record, open_run

SEARCH = "base: digits\n"


def row(trial: str = "00000", **fields: object) -> TrialRow:
    given = {"trial": trial, "stage": "search", "values": {"objective.lambda1": 0.5}, "seed": 0}
    return TrialRow.model_validate(given | fields)


def test_a_search_is_found_again(tmp_path: Path) -> None:
    made = SearchDir.create(tmp_path / "a", SEARCH, "first")
    found = SearchDir.open(tmp_path / "a")
    assert found.info == made.info
    assert found.info.name == "first"
    assert found.definition() == SEARCH
    assert (found.rows(), found.summary()) == ((), None)


def test_a_search_is_not_made_twice(tmp_path: Path) -> None:
    SearchDir.create(tmp_path / "a", SEARCH)
    with pytest.raises(BadInput, match=r"already at .*a; resume it with --resume a"):
        SearchDir.create(tmp_path / "a", SEARCH)


def test_a_search_is_not_made_over_something_else(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "notes.txt").write_text("mine")
    with pytest.raises(BadInput, match="taken, but not by a search"):
        SearchDir.create(tmp_path / "a", SEARCH)


def test_a_search_where_no_folder_can_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(BadInput, match="cannot write"):
        SearchDir.create(tmp_path / "file" / "a", SEARCH)


def test_no_search_is_there(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"is not a search directory \(it has no search.json\)"):
        SearchDir.open(tmp_path)


def test_a_damaged_identity(tmp_path: Path) -> None:
    SearchDir.create(tmp_path / "a", SEARCH)
    (tmp_path / "a" / "search.json").write_text("{")
    with pytest.raises(CorruptFile, match=r"search.json cannot be read"):
        SearchDir.open(tmp_path / "a")


def test_rows_come_back_in_order_stage_one_first(tmp_path: Path) -> None:
    search = SearchDir.create(tmp_path / "a", SEARCH)
    exploit = Exploit(epoch=2, source_trial="00001", values={"objective.lambda2": 3.0})
    rows = [
        row("00001-s1", stage="final", seed=1, status="RUNNING", epoch=3, metric=0.25),
        row("00001", status="FINISHED", epoch=8, images_per_second=170.5),
        row("00000", status="FAILED", reason="loss/d_real became NaN", lineage=(exploit,)),
    ]
    search.write_rows(rows)
    assert search.rows() == (rows[2], rows[1], rows[0])
    assert [found.is_over for found in search.rows()] == [True, True, False]


def test_a_damaged_table(tmp_path: Path) -> None:
    search = SearchDir.create(tmp_path / "a", SEARCH)
    search.write_bytes("trials.json", b'[{"trial": "00000"}]')
    with pytest.raises(CorruptFile, match=r"trials.json cannot be read"):
        search.rows()


def test_runs_lie_where_their_rows_say(tmp_path: Path) -> None:
    search = SearchDir.create(tmp_path / "a", SEARCH)
    assert search.run(row("00003")).location == f"{search.location}/trials/00003"
    final = row("00003-s7", stage="final", seed=7)
    assert search.run(final).location == f"{search.location}/finals/00003-s7"


def test_the_summary_names_the_places_of_today(tmp_path: Path) -> None:
    search = SearchDir.create(tmp_path / "before", "")
    places = {"search_dir": "/old/place", "run_dir": "/old/place/trials/00003"}
    search.write_summary({**places, "export": "/old/export", "winner": "finals/00003-s1"})
    (tmp_path / "before").rename(tmp_path / "after")
    assert SearchDir.open(tmp_path / "after").summary() == {
        "search_dir": f"{tmp_path}/after",
        "run_dir": f"{tmp_path}/after/finals/00003-s1",
        "export": f"{tmp_path}/after/finals/00003-s1/export",
        "winner": "finals/00003-s1",
    }


def test_the_summary_is_kept(tmp_path: Path) -> None:
    search = SearchDir.create(tmp_path / "a", SEARCH)
    search.write_summary({"trials": 6, "zero_one_loss": None})
    assert search.summary() == {"trials": 6, "zero_one_loss": None}


def test_a_table_that_names_donors_is_read(tmp_path: Path) -> None:
    search = SearchDir.create(tmp_path / "hunt", "base: digits\n")
    lineage = [{"epoch": 2, "donor": "00001", "values": {}}]
    old = {"trial": "00000", "stage": "search", "values": {}, "seed": 0, "lineage": lineage}
    search.write_json("trials.json", [old])
    (row_of_old,) = search.rows()
    assert row_of_old.lineage[0].source_trial == "00001"


@given(
    st.dictionaries(
        st.sampled_from(["objective.lambda1", "label_sampling.probability", "data.labels"]),
        st.one_of(
            st.floats(0, 10),
            st.text("abc%", max_size=3),
            st.integers(0, 5),
            st.fixed_dictionaries({"kind": st.just("linear"), "duration": st.floats(1, 9)}),
        ),
    )
)
def test_any_values_survive(values: dict[str, object]) -> None:
    wanted = row(values=values)
    assert TrialRow.model_validate_json(wanted.model_dump_json()) == wanted


def test_a_search_stands_for_its_winner(tmp_path: Path) -> None:
    search = SearchDir.create(tmp_path / "hunt", "base: digits\n")
    winner = RunDir.create(f"{search.location}/finals/00001-s2", "name: digits\n")
    with pytest.raises(
        BadInput, match=r"a search that is not over; resume it with --resume hunt, or"
    ):
        open_run(search.location)
    search.write_summary({"winner": None})
    with pytest.raises(BadInput, match="a search without a winner: no trial has a value"):
        open_run(search.location)
    search.write_summary({"winner": "finals/00001-s2"})
    assert open_run(search.location).run_id == winner.run_id
    assert open_run(winner.location).run_id == winner.run_id
    moved = tmp_path / "moved"
    (tmp_path / "hunt").rename(moved)
    assert open_run(str(moved)).location == f"{moved}/finals/00001-s2"


def test_who_comes_to_write_a_record_clears_up_after_who_was_killed(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "run", "seed: 1")
    left = tmp_path / f"run/record/0001/samples_ema.png.{32 * 'a'}.tmp"
    left.parent.mkdir(parents=True)
    left.touch()
    with hold_record(run):
        assert not left.exists()
    assert run.list("") == ["experiment.yaml", "run.json"]
