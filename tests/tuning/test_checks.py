from typing import Any

import pytest

from ssgan.base.errors import BadInput
from ssgan.experiment.loading import load_experiment
from ssgan.tuning.loading import load_search
from tests.tuning.conftest import LOG, definition

UNIFORM = {"kind": "uniform", "low": 0.1, "high": 0.9}
GRID = {"kind": "grid", "values": [1, 2]}
SIZES = {"kind": "grid", "values": [16, 32]}
CHOICE = {"kind": "choice", "values": [0.1, 0.5]}
PBT = {"kind": "pbt", "interval": 2}
PB2 = {"kind": "pb2", "interval": 2}
OPTUNA = {"kind": "optuna"}
LINEAR = {"kind": "linear", "duration": {"kind": "uniform", "low": 1, "high": 4}}
NO_SUPERVISED = ["codes.supervised=[]"]


def space(**fields: Any) -> dict[str, Any]:
    return {"space": {name.replace("__", "."): part for name, part in fields.items()}}


def schedule(*options: dict[str, Any]) -> dict[str, Any]:
    return space(label_sampling__probability={"kind": "schedule", "options": list(options)})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (space(objective__lamda1=LOG), "unknown field 'objective.lamda1'.* did you mean 'lambda1'"),
        (space(lambda1=LOG), "an experiment has no 'lambda1'"),
        (space(training__epochs=GRID), "training.epochs cannot be searched: the epochs are the"),
        (space(data__source__kind=GRID), "data.source.kind cannot be searched: all trials share"),
        (space(codes__supervised=GRID), "all trials share one judge"),
        (space(evaluation__samples=GRID), "evaluation.samples cannot be searched: it says how"),
        (space(scaling__workers=GRID), "scaling.workers cannot be searched"),
        (space(tracking__uri=GRID), "tracking.uri cannot be searched"),
        (space(name=GRID), "name cannot be searched"),
        (
            {"overrides": {"scaling.workers": [1, 2]}},
            r"scaling\.workers=\[1,2\] is elastic, which a search is not: for up to three minutes",
        ),
        (space(data__held_out=UNIFORM), "data.held_out has no effect: this source has a test"),
        (
            {**space(label_sampling__probability=CHOICE)},
            "reaches label_sampling.probability=0.1, which fails",
        ),
        (space(label_sampling__probability=UNIFORM), "is a schedule; search it with kind: sched"),
        (
            space(objective__lambda1={"kind": "schedule", "options": [LINEAR]}),
            "objective.lambda1 is not a schedule",
        ),
        (
            space(label_sampling__floor={"kind": "uniform", "low": 0.5, "high": 1.5}),
            "reaches label_sampling.floor=1.5, which fails: .*floor",
        ),
        (
            space(training__steps_per_epoch={"kind": "uniform", "low": 1, "high": 8}),
            "takes whole numbers, and kind: uniform draws fractions; use kind: integers",
        ),
        (
            space(networks__hidden={"kind": "loguniform", "low": 2, "high": 8}),
            "takes whole numbers, and kind: loguniform draws fractions",
        ),
        (
            space(training__batch_size={"kind": "integers", "low": 1, "high": 64}),
            "reaches training.batch_size=1, which fails",
        ),
        (schedule({"kind": "linear", "drop": 0.1}), "a schedule of kind linear has no 'drop'"),
        (
            {
                "space": {
                    "label_sampling.probability": {"kind": "schedule", "options": [LINEAR]},
                    "label_sampling.probability.duration": UNIFORM,
                }
            },
            "is a part of label_sampling.probability",
        ),
        ({"metric": "zero_one_los"}, "no evaluation reports the metric .* did you mean 'zero_one"),
        ({"metric": "mi/digti"}, "did you mean 'mi/digit'"),
        ({"trials": 5, **space(data__labels=GRID, seed=GRID)}, "4 combinations, and .*=5 .*set 8"),
        ({"trials": 8, **space(data__labels=GRID, seed=GRID)}, "train the same trial again"),
        ({"scheduler": {"kind": "asha", "grace": 10}}, "grace=10 is beyond training.epochs=9"),
        (
            {"searcher": OPTUNA, **space(objective__lambda1=GRID)},
            "kind=optuna draws values and walks no",
        ),
        ({"searcher": OPTUNA, "scheduler": PBT}, "goes with no searcher but .*random"),
        ({"scheduler": PBT, **space(optimizer__generator_lr=LOG)}, "is fixed for a run"),
        ({"scheduler": PBT, **space(seed=GRID)}, "seed is fixed for a run"),
        ({"scheduler": PBT, **space(data__labels=GRID)}, "data.labels is fixed for a run"),
        ({"scheduler": PBT, **schedule(LINEAR, {**LINEAR, "kind": "cosine"})}, "has 2 options"),
        ({"scheduler": PBT, "trials": 1, "finals": {"best": 1}}, "needs a population"),
        ({"scheduler": PBT, "concurrent": 2}, "search.concurrent=2 would cut it"),
        ({"scheduler": {"kind": "pbt", "interval": 9}}, "no round before the end"),
        ({"scheduler": PB2, **space(objective__lambda1=CHOICE)}, "pb2 chooses numbers between"),
        ({"scheduler": PB2, **space(objective__lambda1=GRID)}, "pb2 chooses numbers between"),
        ({"scheduler": PB2, **schedule(LINEAR, {**LINEAR, "kind": "cosine"})}, "pb2 chooses"),
    ],
)
def test_what_cannot_work_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        load_search(definition(**changes))


@pytest.mark.parametrize(
    ("overrides", "changes", "message"),
    [
        (["evaluation.every=3"], {"scheduler": PBT}, "evaluated every 3"),
        (NO_SUPERVISED, {}, "zero_one_loss_ema is not measured: no code.*metric=mi/style_1"),
        (["label_sampling.unit=batch"], space(label_sampling__batch_size=SIZES), "has no effect"),
        (
            ["scaling.workers=2"],
            space(training__batch_size={"kind": "integers", "low": 4, "high": 65}),
            "cannot be shared evenly by 2 workers",
        ),
    ],
)
def test_what_the_base_rules_out_is_refused(
    overrides: list[str], changes: dict[str, Any], message: str
) -> None:
    base = load_experiment("digits", ["training.epochs=9", *overrides])
    with pytest.raises(BadInput, match=message):
        load_search(definition(base=base, **changes))


def test_without_a_judge_split_the_accuracy_of_q_is_suggested() -> None:
    base = load_experiment("digits", ['data.source={"kind": "folder", "root": "nowhere"}'])
    with pytest.raises(BadInput, match=r"no test split.* search.metric=q_ss_accuracy"):
        load_search(definition(base=base))
    search = load_search(definition(base=base, metric="q_ss_accuracy"))
    assert (search.metric, search.mode) == ("q_ss_accuracy", "max")


@pytest.mark.parametrize(
    "metric",
    [
        *("zero_one_loss", "zero_one_loss_ema/digit.7", "q_ss_accuracy/digit", "mi/style_1"),
        *("fd_judge", "coverage", "loss/g_adv", "diversity", "images_per_second"),
    ],
)
def test_metrics_of_evaluations_are_known(metric: str) -> None:
    assert load_search(definition(metric=metric, mode="max")).metric == metric


def test_what_no_trial_would_measure_is_refused() -> None:
    infogan = load_experiment("digits", ["data.labels=0", "training.epochs=9"])
    with pytest.raises(BadInput, match=r"mi_real/digit is not measured: no image is labeled"):
        load_search(definition(base=infogan, metric="mi_real/digit"))
    some = {**space(data__labels={"kind": "grid", "values": [0, 50]}), "metric": "mi_real/digit"}
    assert load_search(definition(base=infogan, **some)).metric == "mi_real/digit"
    with pytest.raises(BadInput, match="reports the metric 'zero_one_loss_ema/digit'"):
        load_search(definition(metric="zero_one_loss_ema/digit"))  # the only code


def test_a_field_with_an_effect_in_some_trials_may_be_searched() -> None:
    changes = space(
        label_sampling__unit={"kind": "choice", "values": ["separate", "batch"]},
        label_sampling__batch_size={"kind": "choice", "values": [16, 32]},
    )
    assert load_search(definition(**changes)).total == 16


@pytest.mark.parametrize("scheduler", [PBT, PB2])
def test_a_population_may_perturb_a_schedule_of_one_kind(scheduler: dict[str, Any]) -> None:
    assert load_search(definition(scheduler=scheduler, **schedule(LINEAR))).total == 16
