"""The whole report from finished runs: every figure, no training, equal bytes."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from ssgan.base.errors import BadInput
from ssgan.evaluation.grids import Real
from ssgan.evaluation.judge import JudgeCard, JudgeConfig
from ssgan.paper import program
from ssgan.paper.plans import PLANS
from ssgan.paper.program import write_report
from ssgan.paper.report import Facts, make_report
from ssgan.paper.runs import read_groups
from ssgan.records.searchdir import SearchDir
from tests.helpers.papers import DIGITS, FACES, TURNED, make_groups

FACTS = Facts(
    size="smoke",
    command="ssgan reproduce mnist --budget smoke",
    data="mnist",
    train_images=60_000,
    judge_images=10_000,
    provenance={"split": "as published"},
    machine="a laptop",
    commit="abc",
)

CARD = JudgeCard(
    hash="0" * 64,
    content="faces",
    seed=0,
    shape=(1, 16, 16),
    codes=FACES.supervised,
    config=JudgeConfig(),
    images=3_000,
    validation_images=7_000,
    accuracy={"Smiling": 0.875, "Male": 0.75},
    rmse={},
    seconds=1.0,
)


def finished(folder: Path, name: str, **more: Any) -> SearchDir:
    """Make a finished experiment with exports, and its facts."""
    plan = PLANS[name]
    amounts = plan.amounts + plan.beyond
    search = make_groups(folder, amounts=amounts, seeds=[0, 1], name=name, **more)
    search.write_json("paper/facts.json", FACTS.model_dump(mode="json"))
    return search


def figures(search: SearchDir, name: str) -> dict[str, str]:
    """Return the captions of a report's figures by file name."""
    report = make_report(PLANS[name], read_groups(search), [FACTS])
    return {figure.name: figure.caption for figure in report.figures}


def test_mnist_has_its_figures_claims_and_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = finished(tmp_path, "mnist", exports=DIGITS)
    real = Real(torch.zeros(20, 1, 16, 16, dtype=torch.uint8), (torch.arange(20.0) % 10)[:, None])
    monkeypatch.setattr(program, "_real_images", lambda groups: real)
    written = write_report(PLANS["mnist"], search)
    page = search.read_bytes("paper/paper-mnist.md").decode()
    for said in (
        "# MNIST (section 5.1)",
        "Made by `ssgan reproduce mnist --budget smoke`: n = 2 of each label budget",
        "| 5.1 | InfoGAN, without any label, is the slowest. | holds |",
        "| 0 (InfoGAN) | 2 | ",
        "| 10 labels | 2 | ",
        "| commit | abc |",
        "| G, D and Q learned from | 60,000 images (train split) |",
        "Figure 2: the unsupervised code style_1",
        "Figure 3a",
        "Section 3.2",
    ):
        assert said in page
    assert page.count("(n = 2)") >= 5
    claims, _, _ = page.partition("## At the end")
    assert "132 labels: " in claims
    assert "10 labels: " not in claims  # it is not one of the paper's budgets
    names = {Path(file).stem for file in written if file.endswith(".png")}
    assert names == {
        "zero-one-loss",
        "label-budgets",
        "traversal-style_1",
        "traversal-style_2",
        "samples",
        "bounds-digit",
    }
    before = {file: Path(file).read_bytes() for file in written}
    assert write_report(PLANS["mnist"], search) == written
    assert {file: Path(file).read_bytes() for file in written} == before


def test_further_seeds_join_a_report(tmp_path: Path) -> None:
    first = finished(tmp_path, "mnist")
    more = make_groups(tmp_path, amounts=[0, 132], seeds=[2], name="more")
    again = FACTS.model_copy(
        update={"command": "ssgan reproduce mnist --first-seed 2", "commit": "def"}
    )
    more.write_json("paper/facts.json", again.model_dump(mode="json"))
    write_report(PLANS["mnist"], first, [more])
    page = first.read_bytes("paper/paper-mnist.md").decode()
    for said in (
        "Made by `ssgan reproduce mnist --budget smoke` and `ssgan reproduce mnist --first-seed 2`",
        "n = 2 to 3 of each label budget",
        "| 0 (InfoGAN) | 3 | ",
        "| 132 labels | 3 | ",
        "| 10 labels | 2 | ",
        "| machine | a laptop |",
        "| commit | abc, def |",
    ):
        assert said in page


def test_searches_that_do_not_belong_together_are_no_report(tmp_path: Path) -> None:
    first = finished(tmp_path, "mnist")
    same = finished(tmp_path / "same", "mnist")
    with pytest.raises(BadInput, match=r"both have data\.labels=0 and seed=0"):
        write_report(PLANS["mnist"], first, [same])
    wider = make_groups(
        tmp_path, amounts=[0], seeds=[2], name="wider", overrides={"networks.width": 8}
    )
    with pytest.raises(BadInput, match=r"not a further seed of .*\n  networks\.width: 32 -> 8"):
        write_report(PLANS["mnist"], first, [wider])
    judged = make_groups(tmp_path, amounts=[0], seeds=[2], name="judged")
    judged.write_json("paper/facts.json", FACTS.model_dump(mode="json"))
    judged.write_json("judges/search/judge.json", CARD.model_dump(mode="json"))
    with pytest.raises(BadInput, match="judged were measured by another C than those of"):
        write_report(PLANS["mnist"], first, [judged])


def test_every_data_set_has_the_papers_figures(tmp_path: Path) -> None:
    svhn = figures(finished(tmp_path, "svhn", exports=DIGITS), "svhn")
    assert svhn["zero-one-loss"].startswith("Figure 3b")
    assert svhn["traversal-style_1"].startswith("Figure 4")
    assert svhn["samples"].startswith("Figure 5")
    assert svhn["epochs"].startswith("Figure 11")
    faces: Mapping[str, Any] = {
        "codes.unsupervised": [{"name": "style_1"}],
        "codes.supervised": ["Smiling", "Male", "Attractive"],
    }
    celeba = figures(finished(tmp_path, "celeba", exports=FACES, overrides=faces), "celeba")
    assert celeba["zero-one-loss"].startswith("Figure 8a")
    assert celeba["blocks-1-percent"].startswith("Figure 6")
    assert celeba["samples"].startswith("Figure 7")
    cifar10 = figures(finished(tmp_path, "cifar10", exports=DIGITS), "cifar10")
    assert cifar10["zero-one-loss"].startswith("Figure 8b")
    assert cifar10["traversal-style_1"].startswith("Figure 9")
    assert "traversal-style_2" not in cifar10
    assert cifar10["samples"].startswith("Figure 10")


def test_digits_that_are_turned_have_a_knob_in_degrees(tmp_path: Path) -> None:
    codes: Mapping[str, Any] = {"codes.supervised": ["digit", "angle"]}
    search = finished(tmp_path, "mnist-turned", exports=TURNED, overrides=codes)
    report = make_report(PLANS["mnist-turned"], read_groups(search), [FACTS])
    assert report.title == "MNIST, turned (beyond the paper)"
    captions = {figure.name: figure.caption for figure in report.figures}
    assert captions["zero-one-loss"].startswith("0-1 loss")
    assert captions["correlation-angle"].startswith("The angle asked for")
    assert captions["knob-angle"].startswith("The supervised code angle")
    assert captions["traversal-style_1"].startswith("The unsupervised code style_1")
    assert {"bounds-digit", "samples"} <= set(captions)
    assert "bounds-angle" not in captions
    _, numbers, _, basis = report.tables
    assert numbers.head[-2:] == ("correlation of angle", "RMSE of angle")
    assert numbers.rows[0][-2:] == ("-0.1050 ± 0.0071", "40.5000 ± 0.7071")
    assert ("C's own error in angle", "3.0000 (RMSE, in its units)") in basis.rows


def test_several_codes_are_told_apart_beside_c(tmp_path: Path) -> None:
    names = ["Smiling", "Male", "Attractive"]
    search = finished(tmp_path, "celeba", exports=FACES, overrides={"codes.supervised": names})
    search.write_json("judges/search/judge.json", CARD.model_dump(mode="json"))
    write_report(PLANS["celeba"], search)
    page = search.read_bytes("paper/paper-celeba.md").decode()
    _, _, table = page.partition("## 0-1 loss of each code at the end\n\n")
    head, _, first, *_, last = table.partition("\n\n")[0].splitlines()
    assert head == "| labels | runs | Smiling | Male | Attractive |"
    loss = 0.02 + 0.88 * math.exp(-4 / 6)  # without labels, after four epochs; seed 1 has 0.01 more
    values = [f"{loss + 0.005 + 0.1 * k:.4f} ± 0.0071" for k in range(3)]
    assert first == f"| 0 (InfoGAN) | 2 | {' | '.join(values)} |"
    assert last == "| C's own error |  | 0.1250 | 0.2500 | not measured |"
    _, _, table = page.partition("## Control of each code\n\n")
    head, _, few, *_, every = table.partition("\n\n")[0].splitlines()
    assert head == "| labels | runs | Smiling | Male | Attractive |"
    # The same for all codes: loss(0) - loss(10), and loss(0) - loss(1000), after four epochs.
    gap = 0.88 * (math.exp(-4 / 6) - math.exp(-4 * (1 + math.log10(11)) / 6))
    assert few.startswith("| 1% (10 labels) | 2 beside 2 | ")
    # More than C errs in Smiling, 0.125, and less than in Male, 0.25.
    assert few.endswith(f" {gap:+.4f}, holds | {gap:+.4f}, not decided | not measured |")
    assert every.endswith("| not measured |")


def test_published_pages_show_no_real_face(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    search = finished(tmp_path, "celeba", exports=FACES)
    shown: list[Any] = []
    make = program.make_report
    monkeypatch.setattr(
        program, "make_report", lambda *given: shown.append(given[4:]) or make(*given[:4])
    )
    real = Real(torch.zeros(4, 1, 16, 16, dtype=torch.uint8), torch.zeros(4, 3))
    monkeypatch.setattr(program, "_real_images", lambda groups: real)
    write_report(PLANS["celeba"], search)
    assert shown == [(real,), ()]  # the HTML page with them, the Markdown page without


def test_a_report_without_runs_or_facts(tmp_path: Path) -> None:
    search = SearchDir.create(tmp_path / "empty", "base: digits\n")
    with pytest.raises(BadInput, match=r"no run of .* is finished"):
        write_report(PLANS["mnist"], search)


def test_facts_are_kept_as_they_were_first_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = finished(tmp_path, "mnist")
    monkeypatch.setattr(program, "describe_machine", lambda: "another")
    program._write_facts(PLANS["mnist"].search("smoke"), "smoke", search, "later")
    assert json.loads(search.read_bytes("paper/facts.json"))["machine"] == "a laptop"
