"""Names of runs and searches: free ones are found, taken ones refused or moved aside."""

import logging
from pathlib import Path

import pytest

from ssgan.base.errors import BadInput
from ssgan.launch.location import check_writable, join, move_aside, settle_name
from ssgan.records.rundir import RunDir
from ssgan.records.searchdir import SearchDir
from tests.helpers.leases import write_foreign_lease


def test_the_usual_name_gets_the_first_free_number(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = str(tmp_path)
    assert settle_name(out, None, "digits") == "digits"
    for name in ("digits", "digits-2"):
        RunDir.create(join(out, name), "seed: 0")
    with caplog.at_level(logging.INFO):
        assert settle_name(out, None, "digits") == "digits-3"
    assert f"to resume a run: --resume {out}/digits" in caplog.text


def test_a_run_that_another_process_prepares_has_its_name_already(tmp_path: Path) -> None:
    out = str(tmp_path)
    write_foreign_lease(RunDir(join(out, "digits")))
    assert settle_name(out, None, "digits") == "digits-2"
    assert settle_name(out, "digits", "digits") == "digits"  # the lease says who writes it


def test_a_name_that_the_user_chose_is_refused_where_it_is_taken(tmp_path: Path) -> None:
    out = str(tmp_path)
    RunDir.create(join(out, "mine"), "seed: 0")
    with pytest.raises(BadInput, match=rf"resume that run by --resume {out}/mine, or move"):
        settle_name(out, "mine", "digits")
    with pytest.raises(BadInput, match="resume that search by --resume mine, or move"):
        settle_name(out, "mine", "digits", kind=SearchDir)
    for name in ("../mine", "", "a\0b", "a\x1b[31m", "a\nb"):
        with pytest.raises(BadInput, match="cannot name a run"):
            settle_name(out, name, "digits")
    for name in ("a" * 250, "é" * 61):
        with pytest.raises(BadInput, match="is too long"):
            settle_name(out, name, "digits")


def test_a_file_of_that_name_is_not_free(tmp_path: Path) -> None:
    (tmp_path / "digits").write_text("x")
    with pytest.raises(BadInput, match="is taken"):
        settle_name(str(tmp_path), "digits", "digits")
    assert settle_name(str(tmp_path), None, "digits") == "digits-2"


def test_what_is_replaced_is_moved_aside_and_nothing_is_deleted(tmp_path: Path) -> None:
    out = str(tmp_path)
    for number in (1, 2):
        RunDir.create(join(out, "mine"), f"seed: {number}")
        assert settle_name(out, "mine", "digits", replace=True) == "mine"
        assert (tmp_path / "mine").exists()  # until all else is checked
        move_aside(join(out, "mine"))
    move_aside(join(out, "mine"))  # there is nothing
    assert not (tmp_path / "mine").exists()
    assert [RunDir.open(join(out, f"mine.{n}")).definition() for n in (1, 2)] == [
        "seed: 1",
        "seed: 2",
    ]


def test_a_folder_that_cannot_be_written_is_found_before_any_work(tmp_path: Path) -> None:
    check_writable(str(tmp_path / "new"))
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="choose a writable folder with --out"):
        check_writable(str(tmp_path / "file"))
