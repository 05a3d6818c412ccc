"""A metric of another package: measured, or a reason; searched by; known by its title."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Literal

import pytest

from ssgan.base.errors import BadInput
from ssgan.data.dataset import Dataset
from ssgan.data.store import Store
from ssgan.evaluation.catalog import EXTRA, METRICS, REASONS, Metric, direction, title
from ssgan.evaluation.extra_metric import ExtraMetric, Samples
from ssgan.experiment.loading import load_experiment
from ssgan.experiment.tree import Experiment
from ssgan.tuning.loading import load_search
from ssgan.tuning.search import Search
from tests.evaluation.test_catalog import experiment, record


class Ink(ExtraMetric):
    """How bright samples are beside real images."""

    kind: Literal["elsewhere.Ink"] = "elsewhere.Ink"
    metrics: ClassVar = (
        Metric("ink", "ink ratio", "mean brightness of samples over that of real images", "max"),
        Metric("ink_seen", "ink C sees", "the same in C's features", "min", ("judge",)),
        Metric("ink_of", "ink of {}", "of a code's first class", per="code"),
    )

    def measure(self, samples: Samples) -> Mapping[str, float | None]:
        assert len(samples.images) == len(samples.c) == 40
        assert samples.labels.shape == (len(samples.real), len(samples.space.supervised))
        redrawn = samples.generator(samples.space.encode(samples.c, samples.c.new_zeros(40, 4)))
        assert redrawn.shape == samples.images.shape
        found = {"ink": samples.images.float().mean().item() / samples.real.float().mean().item()}
        if samples.seen is not None and samples.seen_real is not None:
            mean = samples.seen.features.mean() / samples.seen_real.features.mean()
            found["ink_seen"] = mean.item()
        return {**found, "ink_of/digit": 1.0}


def with_ink(**data: object) -> Experiment:
    made = experiment(**data)
    evaluation = made.evaluation.model_copy(update={"extra": (Ink(),)})
    return made.model_copy(update={"evaluation": evaluation})


def test_it_is_measured_with_the_others(digits_store: Store, tmp_path: Path) -> None:
    made = with_ink()
    assert Experiment.from_yaml(made.to_yaml()) == made
    dataset = Dataset.load(made.data, made.codes, digits_store)
    without = record(experiment(), dataset, tmp_path / "without")
    found = record(made, dataset, tmp_path / "with")
    own = {name: found.metrics.pop(name) for name in list(found.metrics) if "ink" in name}
    assert own.keys() == {"ink", "ink_seen", "ink_of/digit", "ink_of/style_1", "ink_of/style_2"}
    assert own["ink"] > 0  # type: ignore[operator]
    assert (own["ink_of/digit"], own["ink_of/style_1"]) == (1, None)
    assert found.reasons["ink_of/style_1"] == "Ink found no value"
    for one in (without, found):
        del one.metrics["images_per_second"]
    assert found.metrics == without.metrics


def test_what_cannot_be_measured_has_its_reason(digits_store: Store, tmp_path: Path) -> None:
    dataset = Dataset.load(experiment().data, experiment().codes, digits_store)
    found = record(with_ink(), replace(dataset, test=None, y_test=None), tmp_path)
    assert found.metrics["ink_seen"] is None
    assert found.reasons["ink_seen"] == REASONS["judge"]


def test_it_has_a_title_and_a_direction() -> None:
    assert EXTRA["ink"] not in METRICS.values()
    assert (title("ink"), title("ink_of/digit"), direction("ink")) == (
        "ink ratio",
        "ink of digit",
        "max",
    )


SPACE = {"objective.lambda1": {"kind": "uniform", "low": 0, "high": 1}}


def search(metric: str, *overrides: str) -> Search:
    return load_search({"space": SPACE, "metric": metric}, "digits", overrides)


def test_a_search_may_go_by_it() -> None:
    found = search("ink", "evaluation.extra=[{kind: elsewhere.Ink}]")
    assert found.mode == "max"
    with pytest.raises(BadInput, match="no evaluation reports the metric 'ink'"):
        search("ink")


def test_its_names_are_its_own() -> None:
    with pytest.raises(TypeError, match="Taken: ssgan has a metric 'recall' already"):

        class Taken(Ink):
            kind: Literal["elsewhere.Taken"] = "elsewhere.Taken"  # type: ignore[assignment]
            metrics: ClassVar = (METRICS["recall"],)

    with pytest.raises(TypeError, match="Mute needs `metrics`"):

        class Mute(ExtraMetric):
            kind: Literal["elsewhere.Mute"] = "elsewhere.Mute"


def test_a_kind_that_does_not_exist_is_refused() -> None:
    with pytest.raises(BadInput, match=r"evaluation\.extra.*no module 'nowhere'"):
        load_experiment("digits", ["evaluation.extra=[{kind: nowhere.Ink}]"])
