"""Readings of unsupervised codes, on generators of which we know what each code does."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.fs as pafs
import pytest
from numpy.typing import NDArray

from ssgan.base.errors import BadInput
from ssgan.experiment.loading import load_experiment
from ssgan.experiment.tree import Experiment
from ssgan.export import NamedGenerator
from ssgan.method.codes import Code, Latents, LatentSpace
from ssgan.networks.dcgan import DcganConfig
from ssgan.paper.interpretation.correlation import (
    HEADER,
    CodeReading,
    Interpretation,
    chance_level,
    interpret,
    interpret_group,
    within_classes,
    write_row,
)
from ssgan.paper.runs import Group, PaperRun
from ssgan.records.rundir import RunDir
from tests.helpers.exports import save_untrained

NETWORKS = DcganConfig(width=4, hidden=16, q_hidden=8)
DIGIT = Code(name="digit", kind="categorical", classes=("0", "1", "2"))
ANGLE = Code(name="angle", kind="continuous", low=-45, high=45)
STYLES = (Code(name="style_1", kind="continuous"), Code(name="style_2", kind="continuous"))
CONTEXT = Code(name="context", kind="categorical", classes=("0", "1"))
SPACE = LatentSpace(supervised=(DIGIT, ANGLE), unsupervised=(*STYLES, CONTEXT), noise=3)
D, A, S1, S2, C = range(5)  # columns of the code table

Drawn = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def drawing(
    folder: Path, pixels: Drawn, space: LatentSpace = SPACE, channels: int = 1
) -> NamedGenerator:
    """Make a generator that draws what a function of the code table (n, K) says, in [0, 1]."""

    class Drawing(NamedGenerator):
        def render(self, latents: Latents) -> NDArray[np.uint8]:
            drawn = pixels(latents.c.double().numpy())
            return (255 * np.broadcast_to(drawn, (*drawn.shape[:1], 16, 16, channels))).astype(
                np.uint8
            )

    return Drawing.load(save_untrained(folder, NETWORKS, space, (channels, 16, 16)))


def shade(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lay shades (n,) out as images of one shade each."""
    return values[:, None, None, None]


def by_class(c: NDArray[np.float64]) -> NDArray[np.float64]:
    """Make an image brighter with style_1, and much more so with the classes of both codes."""
    return shade(0.45 + 0.1 * c[:, S1] + 0.15 * c[:, D] + 0.1 * c[:, C])


def test_a_code_that_makes_images_brighter_is_read_as_brightness(tmp_path: Path) -> None:
    reading, other = interpret(drawing(tmp_path, by_class), n=400).readings
    assert (reading.code, reading.trait, reading.n) == ("style_1", "brightness", 400)
    assert reading.correlation == pytest.approx(1, abs=1e-3)  # rounding to 256 shades
    assert other.code == "style_2"
    assert abs(other.correlation) < 0.2


def test_a_code_that_makes_images_darker_has_a_negative_correlation(tmp_path: Path) -> None:
    generator = drawing(tmp_path, lambda c: shade(0.4 - 0.3 * c[:, S2]))
    reading = interpret(generator, n=400).readings[1]
    assert (reading.code, reading.trait) == ("style_2", "brightness")
    assert reading.correlation == pytest.approx(-1, abs=1e-3)


def test_color_images_are_read_by_color(tmp_path: Path) -> None:
    def colors(c: NDArray[np.float64]) -> NDArray[np.float64]:
        up = 0.5 + 0.4 * c[:, [S1]]
        blue = np.hstack([0.2 + 0 * up, 0.2 + 0 * up, 0.3 + 0.2 * c[:, [S2]]])
        blue[:, 0] = up[:, 0]
        return blue[:, None, None, :]

    first, second = interpret(drawing(tmp_path, colors, channels=3), n=400).readings
    assert (first.trait, second.trait) == ("redness", "blueness")
    assert first.correlation == pytest.approx(1, abs=1e-3)
    assert second.correlation > 0.6  # red shows in it too


def test_only_codes_without_a_label_and_a_class_are_read(tmp_path: Path) -> None:
    found = interpret(drawing(tmp_path, lambda c: shade(0.5 + 0.4 * c[:, A])), n=300)
    assert [reading.code for reading in found.readings] == ["style_1", "style_2"]


def test_the_mean_is_over_absolute_values() -> None:
    readings = (CodeReading("a", "slant", -0.75, 10), CodeReading("b", "area", 0.25, 10))
    found = Interpretation(readings, chance=0.5)
    assert found.strongest == 0.5
    assert found.found == readings[:1]


def test_images_without_ink_are_left_out_of_slant(tmp_path: Path) -> None:
    def leaning(c: NDArray[np.float64]) -> NDArray[np.float64]:
        images = np.zeros((len(c), 16, 16, 1))
        for image, row in zip(images, c, strict=True):
            if row[D] > 0:  # a class draws nothing at all
                for y in range(12):
                    image[2 + y, round(7 - row[S1] * (y - 5.5)), 0] = 1
        return images

    reading = interpret(drawing(tmp_path, leaning), n=300).readings[0]
    assert reading.trait == "slant"
    assert reading.correlation > 0.9
    drawn = NamedGenerator.load(tmp_path).draw(300, 0).c[:, D]
    assert reading.n == (drawn > 0).sum()
    assert 150 < reading.n < 250


def test_a_generator_that_ignores_its_codes_is_not_told_from_chance(tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    found = interpret(drawing(tmp_path, lambda c: random.random((len(c), 16, 16, 1))), n=500)
    assert found.found == ()
    assert found.strongest is not None
    assert found.strongest < found.chance < 0.2


def test_images_that_do_not_vary_have_no_correlation(tmp_path: Path) -> None:
    found = interpret(drawing(tmp_path, lambda c: shade(np.full(len(c), 0.7))), n=100)
    assert [reading.correlation for reading in found.readings] == [0, 0]
    assert found.strongest == found.chance == 0
    classes = interpret(drawing(tmp_path, lambda c: shade(0.2 + 0.3 * c[:, D])), n=100)
    assert classes.strongest == 0


def test_generators_without_such_codes_have_no_readings(tmp_path: Path) -> None:
    space = LatentSpace(supervised=(DIGIT,), unsupervised=(CONTEXT,), noise=3)
    found = interpret(NamedGenerator.load(save_untrained(tmp_path, NETWORKS, space, (1, 16, 16))))
    assert found == Interpretation((), 0.0)
    assert found.strongest is None


def test_too_few_images_are_refused(tmp_path: Path) -> None:
    generator = drawing(tmp_path, by_class)
    with pytest.raises(BadInput, match="draw more"):
        interpret(generator, n=5)


def test_equal_generators_and_seeds_give_equal_readings(tmp_path: Path) -> None:
    folder = save_untrained(tmp_path, NETWORKS, SPACE, (1, 16, 16))
    first = interpret(NamedGenerator.load(folder), n=60, seed=1)
    assert first == interpret(NamedGenerator.load(folder), n=60, seed=1)
    assert first != interpret(NamedGenerator.load(folder), n=60, seed=2)


def test_correlation_within_classes_by_hand() -> None:
    # Class means are 2 and 20. What is left, code (-1, 0, 1, -1, 0, 1), trait (-1, 0, 1, 0, -1, 1):
    # products sum to 1 + 1 + 1 = 3, squares to 4 and 4.
    codes = np.array([1.0, 2, 3, 1, 2, 3])[:, None]
    trait = np.array([1.0, 2, 3, 20, 19, 21])
    classes = np.array([[1.0, 0]] * 3 + [[0, 1.0]] * 3)
    assert within_classes(codes, {"t": trait}, classes)["t"] == pytest.approx([0.75])
    # Class has far more weight in the trait than the code: without it, 3 of sqrt(4 · 490).
    plain = within_classes(codes, {"t": trait}, np.empty((6, 0)))["t"]
    assert plain == pytest.approx([3 / np.sqrt(4 * (4 + 6 * 81))])


def test_the_effects_of_several_categorical_codes_add_up() -> None:
    random = np.random.default_rng(0)
    code = random.uniform(-1, 1, (200, 1))
    groups = random.integers(0, 4, (200, 3))
    classes = np.hstack([np.eye(4)[column] for column in groups.T])
    trait = code[:, 0] + groups @ [10, -20, 40]
    correlation = within_classes(code, {"t": trait}, classes)["t"]
    assert correlation == pytest.approx([1])


def test_traits_that_few_images_have_are_left_out() -> None:
    random = np.random.default_rng(0)
    trait = random.random(100)
    scarce = np.where(np.arange(100) < 49, trait, np.nan)
    half = np.where(np.arange(100) < 50, trait, np.nan)
    codes, nothing = random.random((100, 1)), np.empty((100, 0))
    found = within_classes(codes, {"scarce": scarce, "half": half}, nothing)
    assert list(found) == ["half"]
    assert found["half"] == pytest.approx(np.corrcoef(trait[:50], codes[:50, 0])[0, 1])


def test_a_code_that_does_not_vary_has_no_correlation() -> None:
    trait = np.random.default_rng(0).random(30)
    found = within_classes(np.full((30, 1), 0.3), {"t": trait}, np.empty((30, 0)))
    assert found["t"].tolist() == [0]


def test_chance_of_one_trait_is_the_known_quantile() -> None:
    # |r| of independent values exceeds 1.96 / sqrt(n) with 5 %.
    trait = np.random.default_rng(1).normal(size=800)
    level = chance_level({"t": trait}, np.empty((800, 0)))
    assert level == pytest.approx(1.96 / np.sqrt(800), rel=0.08)


def test_chance_grows_with_independent_traits_alone() -> None:
    random = np.random.default_rng(2)
    one = {"t": random.normal(size=500)}
    same = {f"t{i}": one["t"] + i for i in range(4)}
    four = {f"t{i}": random.normal(size=500) for i in range(4)}
    nothing = np.empty((500, 0))
    assert chance_level(same, nothing) == pytest.approx(chance_level(one, nothing))
    # The largest of four: |r| exceeds 2.49 / sqrt(n) with 1 - 0.95 ** (1/4).
    assert chance_level(four, nothing) == pytest.approx(2.49 / np.sqrt(500), rel=0.08)


def test_chance_level_holds_for_codes_that_the_images_ignore() -> None:
    random = np.random.default_rng(3)
    classes = np.eye(5)[random.integers(0, 5, 300)]
    traits = {f"t{i}": random.normal(size=300) for i in range(4)}
    fresh = random.uniform(-1, 1, (300, 1000))
    strongest = np.abs(list(within_classes(fresh, traits, classes).values())).max(axis=0)
    share = (strongest > chance_level(traits, classes, seed=7)).mean()
    assert share == pytest.approx(0.05, abs=0.025)
    assert chance_level(traits, classes, 7) == chance_level(traits, classes, 7)
    assert chance_level(traits, classes, 7) != chance_level(traits, classes, 8)


@pytest.fixture
def experiment() -> Experiment:
    """Any experiment: readings do not depend on it."""
    return load_experiment("digits")


def paper_run(folder: Path, seed: int, experiment: Experiment, *, export: bool = True) -> PaperRun:
    """Make a run with an export of untrained networks, which depend on the seed."""
    run = RunDir.create(folder / f"run{seed}", "name: digits\n")
    if export:
        save_untrained(Path(run.location) / "export", NETWORKS, SPACE, (1, 16, 16), seed)
    return PaperRun("0", 0, seed, run, experiment)


def test_a_group_is_the_readings_of_its_runs(tmp_path: Path, experiment: Experiment) -> None:
    runs = tuple(paper_run(tmp_path, seed, experiment) for seed in (1, 2))
    gone = paper_run(tmp_path, 3, experiment, export=False)
    found = interpret_group(Group("0", 0, (*runs, gone)), n=50, seed=4)
    alone = [interpret(NamedGenerator.load(one.run.location), 50, 4) for one in runs]
    assert found == tuple(alone)


def test_a_run_on_another_file_system_is_read_there(tmp_path: Path, experiment: Experiment) -> None:
    local = paper_run(tmp_path, 1, experiment)
    elsewhere = pafs.SubTreeFileSystem(str(tmp_path), pafs.LocalFileSystem())
    remote = replace(local, run=RunDir("run1", elsewhere))
    assert remote.run.local_path is None
    one, other = (interpret_group(Group("0", 0, (run,)), n=30) for run in (local, remote))
    assert one == other
    assert len(one) == 1


def test_a_row_says_mean_spread_runs_chance_and_traits() -> None:
    first = Interpretation(
        (CodeReading("a", "slant", 0.8, 9), CodeReading("b", "stroke_width", -0.4, 9)), chance=0.05
    )
    second = Interpretation(
        (CodeReading("a", "slant", -0.4, 9), CodeReading("b", "area", 0.02, 9)), chance=0.06
    )
    # Means 0.6 and 0.21; their standard deviation, over n - 1, is 0.39 / sqrt(2).
    row = dict(zip(HEADER, write_row("132 labels", (first, second)), strict=True))
    assert row == {
        "labels": "132 labels",
        "strongest correlation": "0.405 ± 0.276",
        "runs": "2",
        "chance": "0.060",
        "traits": "slant 2, stroke width 1, none above chance 1 (of 4 codes)",
    }
    alone = dict(zip(HEADER, write_row("x", (first,)), strict=True))
    assert alone["strongest correlation"] == "0.600"  # one run has no spread
    assert alone["runs"] == "1"


def test_a_group_without_readings_says_so() -> None:
    assert write_row("10%", ()) == ("10%", "no value", "0", "", "")
