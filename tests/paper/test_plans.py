"""The paper's experiments as searches: which runs there are, by which judge they are measured."""

import pytest

from ssgan.base.errors import BadInput
from ssgan.paper.plans import PLANS


@pytest.mark.parametrize(
    ("name", "amounts", "seeds"),
    [
        ("mnist", [0, 132, "1%", "10%", "100%", 10], 3),
        ("svhn", [0, "10%", "100%"], 2),
        ("celeba", [0, "1%", "20%", "100%"], 2),
        ("cifar10", [0, "10%", "100%"], 2),
        ("mnist-authors", [0, 132, "1%", "10%", "100%"], 3),
    ],
)
def test_the_grid_is_label_budgets_times_seeds(
    name: str, amounts: list[int | str], seeds: int
) -> None:
    search = PLANS[name].search("cpu")
    assert search.total == len(amounts) * seeds
    assert search.space["data.labels"].model_dump()["values"] == tuple(amounts)
    # Nothing is chosen, so one C, of the whole test split, measures all runs.
    experiment = search.experiment({"data.labels": amounts[-1], "seed": 1})
    assert experiment.evaluation.judge.rows == "whole"
    assert (experiment.data.labels, experiment.seed) == (amounts[-1], 1)


def test_the_papers_budget_takes_the_papers_networks() -> None:
    base = PLANS["cifar10"].search("paper").base
    judge = base.evaluation.judge.classifier
    assert (judge.kind, judge.width, judge.depth) == ("wrn", 10, 28)
    assert base.networks.width == 64
    assert base.instance_noise.kind == "linear"
    judge = PLANS["cifar10"].search("cpu").base.evaluation.judge.classifier
    assert (judge.kind, judge.width, judge.depth) == ("wrn", 4, 16)


def test_the_authors_recipe_differs_from_ours_in_how_labels_are_drawn() -> None:
    ours, theirs = PLANS["mnist"].search("cpu").base, PLANS["mnist-authors"].search("cpu").base
    assert (ours.training, ours.networks, ours.objective) == (
        theirs.training,
        theirs.networks,
        theirs.objective,
    )
    assert (theirs.label_sampling.unit, theirs.label_sampling.floor) == ("batch", "share")
    assert theirs.label_sampling.augment is None


def test_fields_seeds_and_label_budgets_of_the_users_own() -> None:
    search = PLANS["mnist"].search("smoke", 2, ["training.epochs=5"], amounts=[10, 20])
    assert (search.total, search.base.training.epochs) == (4, 5)
    assert search.space["seed"].model_dump()["values"] == (0, 1)
    further = PLANS["mnist"].search("smoke", 2, first_seed=2)
    assert further.space["seed"].model_dump()["values"] == (2, 3)
    with pytest.raises(BadInput, match="--seeds 0: one run"):
        PLANS["mnist"].search("smoke", 0)
    with pytest.raises(BadInput, match="did you mean 'epochs'"):
        PLANS["mnist"].search("smoke", 1, ["training.epoch=5"])
