import yaml
from hypothesis import given
from hypothesis import strategies as st

from ssgan.base.config import canonical_hash
from ssgan.tuning.loading import load_search
from ssgan.tuning.search import Search, difference
from tests.tuning.conftest import LOG, definition


def test_a_trial_is_the_base_with_its_values(search: Search) -> None:
    values = {"objective.lambda1": 0.5, "objective.lambda2": 1.5}
    trial = search.experiment(values)
    assert (trial.objective.lambda1, trial.objective.lambda2) == (0.5, 1.5)
    assert trial.seed == search.base.seed
    assert trial.training == search.base.training
    final = search.experiment(values, seed=8, stage="final")
    assert final.seed == 8
    first, second = trial.evaluation.judge, final.evaluation.judge
    assert (first.rows, second.rows) == ("first half", "second half")
    assert first.classifier != second.classifier


@given(lambda1=st.floats(0, 1e6), lambda2=st.floats(0, 1e6), seed=st.integers(0, 2**31))
def test_values_come_back_from_the_experiment_that_they_build(
    lambda1: float, lambda2: float, seed: int
) -> None:
    search = _parsed()
    values = {"objective.lambda1": lambda1, "objective.lambda2": lambda2}
    one, other = (search.experiment(values, seed) for _ in range(2))
    assert (one.objective.lambda1, one.objective.lambda2) == (lambda1, lambda2)
    assert canonical_hash(one.model_dump(mode="json")) == canonical_hash(
        other.model_dump(mode="json")
    )
    assert type(one).from_yaml(one.to_yaml()) == one


_SEARCHES: list[Search] = []


def _parsed() -> Search:
    if not _SEARCHES:
        space = {"objective.lambda1": LOG, "objective.lambda2": LOG}
        _SEARCHES.append(load_search(definition(space=space)))
    return _SEARCHES[0]


def test_trials_are_counted_with_the_grids() -> None:
    grid = {"kind": "grid", "values": [5, 10, 20]}
    space = {"data.labels": grid, "objective.lambda1": LOG}
    search = load_search(definition(space=space, trials=6, finals={"best": 1}))
    assert (search.total, search.samples) == (6, 2)
    search = load_search(definition(space={"data.labels": grid}, finals={"best": 0}))
    assert (search.total, search.samples) == (3, 1)
    assert load_search(definition()).total == 16


def test_a_difference_names_the_fields() -> None:
    one = load_search(definition())
    other = load_search(
        definition(
            space={"objective.lambda1": {**LOG, "high": 3}},
            base=one.base.model_copy(update={"seed": 4}),
            scheduler={"kind": "asha"},
        )
    )
    assert difference(one, other) == {
        "search.space.objective.lambda1": ({**LOG, "low": 0.05, "high": 2.0}, {**LOG, "high": 3.0}),
        "seed": (0, 4),
        "search.scheduler.kind": ("none", "asha"),
        "search.scheduler.grace": (None, 1),
        "search.scheduler.reduction": (None, 3.0),
    }


def test_the_written_search_is_plain_yaml(search: Search) -> None:
    tree = yaml.safe_load(search.to_yaml())
    assert tree["space"]["objective.lambda1"] == LOG
    assert tree["base"]["training"]["epochs"] == 9
