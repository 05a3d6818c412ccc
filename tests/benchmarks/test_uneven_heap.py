"""The program on heaps that are not clean: what it mixes, what it measures, and its page."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import uneven_heap
from benchmarks.few_labels import Setup
from benchmarks.few_labels_lines import Line, read_lines
from benchmarks.uneven_heap import CELL, make_heap, page
from ssgan.data.memmap import Split
from ssgan.method.codes import NONE_OF_THESE

from .test_few_labels import TINY, make_line

FAR = {  # rows of a figure that tell a digit from another, and from clothing
    "share_error": 0.01,
    "shares_held": 11,
    "shares_told": 11,
    "classes_missed": 0,
    "foreign_samples": 0.005,
    "eleven_zero_one_loss": 0.02,
}


def made_up(count: int, *, digits: bool) -> Split:
    """Bars whose height and side tell the digit; clothing is a square of noise."""
    draw = torch.Generator().manual_seed(int(digits))
    of = torch.arange(count) % 10
    images = torch.randint(0, 60, (count, 1, 28, 28), generator=draw, dtype=torch.uint8)
    for image, digit in zip(images, of.tolist(), strict=True):
        row, column = 2 + 5 * (digit // 2), 3 + 12 * (digit % 2)
        place = image[0, row : row + 4, column : column + 10] if digits else image[0, 4:24, 4:24]
        place += 150
    return Split(images, of.float()[:, None])


def test_a_heap_has_classes_ten_to_one_and_clothing_among_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(uneven_heap, "_COUNT", 400)
    digits, clothing = made_up(2000, digits=True), made_up(2000, digits=False)
    images, words = make_heap(digits, clothing, 1)
    assert images.shape == (len(words), 28, 28)
    sizes = sorted(words.count(digit) for digit in "0123456789")
    assert sizes[-1] == pytest.approx(10 * sizes[0], rel=0.1)
    assert sum(sizes) == pytest.approx(400, abs=5)
    assert words.count(NONE_OF_THESE) / len(words) == pytest.approx(0.3, abs=0.002)
    bright = images[:, 4:24, 4:24].mean(axis=(1, 2)) > 130
    assert [word == NONE_OF_THESE for word in words] == bright.tolist()
    again, other = make_heap(digits, clothing, 1), make_heap(digits, clothing, 2)
    assert again[1] == words
    assert np.array_equal(again[0], images)
    assert [other[1].count(digit) for digit in "0123456789"] != [
        words.count(digit) for digit in "0123456789"
    ]
    whole = make_heap(digits, clothing, None)[1]
    assert whole[:12] == [*"012345678901"]
    assert (whole.count("3"), whole.count(NONE_OF_THESE)) == (200, 857)


def test_a_heap_is_trained_on_and_measured_by_a_classifier_that_knows_clothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uneven_heap, "_COUNT", 240)
    splits = {"mnist": made_up(800, digits=True), "fashion-mnist": made_up(800, digits=False)}
    monkeypatch.setattr(uneven_heap, "open_split", lambda preset, root, split: splits[preset])
    tiny = (*TINY, "evaluation.every=1")
    setup = Setup(tmp_path / "runs", tmp_path / "lines.jsonl", overrides=tiny)
    uneven_heap.fill(setup, tmp_path, tmp_path, [1])
    (line,) = read_lines(setup.lines)
    assert (line.cell, line.error) == (CELL.name, None)
    assert "codes.prior=estimated" in line.fields
    assert not any(str(tmp_path) in field for field in line.fields)
    measured = line.measured
    assert measured["classes_missed"] == 0
    assert measured["shares_told"] == 11
    assert measured["share_error"] == pytest.approx(0, abs=0.1)
    assert measured["spread_right"] == pytest.approx(1, abs=0.1)
    assert 0 <= (measured["foreign_samples"] or 0) <= (measured["eleven_zero_one_loss"] or 0)
    assert "| 1 |" in page([line], [])


def test_the_page_holds_the_lines_against_the_targets_and_clean_heaps() -> None:
    lines = [make_line(CELL.name, draw, 0.02 * draw, **FAR) for draw in (3, 1, 2)]
    clean = [make_line(CELL.name, draw, 0.01) for draw in (1, 2, 3)]
    text = page(lines, clean)
    # 0.02 + 0.04 + 0.06 less three times 0.01
    assert "| mean 0-1 loss above the clean heap's | at most 0.03 | 0.0300 | yes |" in text
    assert "| most foreign samples of a draw | at most 0.02 | 0.0050 | yes |" in text
    assert "| largest error of a share | at most 0.03 | 0.0100 | yes |" in text
    assert (
        "| 1 | 0.0200 | 0.0100 | 0.0200 | 0.0050 | 0.9700 | 0.95 | 0.0100 | 11 of 11 | 0 |" in text
    )
    failed = replace(lines[0], error="it became NaN", measured={})
    text = page([failed], [])
    assert "clean heap's | at most 0.03 | not run | open |" in text
    assert "| 1.0000 | open: no in 1 of 3 draws |" in text
    assert "- Draw 3 failed: it became NaN" in text


def test_the_page_refuses_what_is_not_of_it() -> None:
    line = make_line(CELL.name, 1, 0.1, **FAR)
    refused: list[tuple[list[Line], str]] = [
        ([], "needs one at least"),
        ([replace(line, draw=100)], "made of reported draws"),
        ([line, replace(line, fields=["data.labels=3"])], "different settings"),
    ]
    for lines, told in refused:
        with pytest.raises(SystemExit, match=told):
            page(lines, [])
