from typing import Literal

import pytest
import yaml
from pydantic import BaseModel, ValidationError
from torch import Tensor

from ssgan.base.config import Config
from ssgan.base.errors import BadInput
from ssgan.data.store import Manifest
from ssgan.experiment.fields import check_resume
from ssgan.experiment.tree import Experiment, ScalingConfig, TrainingConfig
from ssgan.method.codes import Code, CodesConfig
from ssgan.method.consistency import ConsistencyConfig
from ssgan.method.extra_term import ExtraTerm, Half
from ssgan.method.objective import ObjectiveConfig
from ssgan.method.schedules import Cosine


def manifest(shape: tuple[int, int, int] = (1, 16, 16)) -> Manifest:
    digit = Code(name="digit", kind="categorical", classes=("0", "1"))
    return Manifest(name="few", shape=shape, columns=(digit,), splits={})


def test_defaults_are_the_papers_and_the_authors() -> None:
    experiment = Experiment()
    assert (experiment.objective.lambda1, experiment.objective.lambda2) == (0.8, 2.0)
    assert experiment.training.batch_size == 128
    assert experiment.optimizer.discriminator_lr == 1e-4
    assert experiment.optimizer.generator_lr == 1e-3
    assert (experiment.optimizer.beta1, experiment.codes.noise) == (0.5, 62)
    assert experiment.images_per_epoch == 12_800


def test_the_tree_survives_yaml() -> None:
    experiment = Experiment(
        name="zwölf",
        instance_noise=Cosine(start=1e-5),
        codes=CodesConfig(supervised=()),
        scaling=ScalingConfig(workers=(1, 2)),
        seed=-3,
    )
    text = experiment.to_yaml()
    assert "zwölf" in text
    again = Experiment.from_yaml(text)
    assert again == experiment
    assert again.to_yaml() == text


@pytest.mark.parametrize("text", ["", "5", "seeds: 3", "seed: [", "training: {epochs: 0}", "\0"])
def test_what_is_no_experiment_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match=r"this (is not a resolved )?experiment|not YAML"):
        Experiment.from_yaml(text)


def models(model: type[BaseModel], found: set[type[BaseModel]]) -> set[type[BaseModel]]:
    from ssgan.experiment.fields import configs_in

    if model not in found:
        found.add(model)
        for field in model.model_fields.values():
            for below in configs_in(field.annotation):
                models(below, found)
    return found


def test_every_field_of_the_tree_is_described() -> None:
    tree = models(Experiment, set())
    assert len(tree) > 20
    for model in tree:
        assert issubclass(model, Config)
        for name, field in model.model_fields.items():
            is_tag = name == "kind"
            assert is_tag or field.description, f"{model.__name__}.{name} has no docstring"


@pytest.mark.parametrize(("size", "workers"), [(128, 1), (128, 2), (6, 3), (12, (2, 4))])
def test_workers_share_a_batch_evenly(size: int, workers: int | tuple[int, int]) -> None:
    Experiment(
        training=TrainingConfig(batch_size=size),
        scaling=ScalingConfig(workers=workers),
        label_sampling={"batch_size": 12},  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("tree", "problem"),
    [
        (
            {"training": {"batch_size": 128}, "scaling": {"workers": 3}},
            r"training\.batch_size=128.*3 workers.*126 or 129",
        ),
        (
            {"training": {"batch_size": 4}, "scaling": {"workers": 8}},
            r"training\.batch_size=4.*8 workers.*; 8 or 8 can|training\.batch_size=4.*8 workers",
        ),
        (
            {"training": {"batch_size": 12}, "scaling": {"workers": [2, 5]}},
            r"training\.batch_size=12.*5 workers",
        ),
        (
            {"label_sampling": {"batch_size": 9}, "scaling": {"workers": 2}},
            r"label_sampling\.batch_size=9.*8 or 10",
        ),
        (
            {
                "training": {"batch_size": 48},
                "networks": {"batch_norm": {"group": 8}},
                "scaling": {"workers": 4},
            },
            r"batch_size=48 leaves each of 4 workers 12 images, which are not whole groups of "
            r"networks\.batch_norm\.group=8; groups of 4 can, and training\.batch_size=64 would be",
        ),
        (
            {"networks": {"batch_norm": {"group": 7}}, "label_sampling": {"unit": "batch"}},
            r"batch_size=128 leaves each of 1 workers 128.*=7; training\.batch_size=133 would",
        ),
        ({"scaling": {"workers": 0}}, "number from 1"),
        ({"scaling": {"workers": [3, 2]}}, "number from 1"),
        ({"scaling": {"workers": [0, 2]}}, "number from 1"),
        ({"scaling": {"cpus": 0}}, "cpus"),
        ({"scaling": {"threads": 0}}, "threads"),
        (
            {"scaling": {"workers": 2, "gpus": 0.5}},
            r"2 workers x 0\.5 GPUs = 1 GPUs, so that two .* NCCL refuses; .*scaling\.gpus=1",
        ),
        ({"scaling": {"workers": [1, 4], "gpus": 0.25}}, r"4 workers x 0\.25 GPUs = 1 GPUs"),
        ({"scaling": {"gpus": 1.5}}, r"gpus=1\.5: beyond one GPU a worker has whole ones"),
        ({"training": {"epochs": 0}}, "epochs"),
        ({"training": {"batch_size": 1}}, "batch_size"),
        ({"optimizer": {"beta1": 1.0}}, "beta1"),
        ({"optimizer": {"generator_lr": 0}}, "generator_lr"),
        ({"objective": {"lambda1": -1}}, "lambda1"),
        (
            {"optimizer": {"lr_schedule": {"kind": "constant", "value": 0}}},
            r"optimizer\.lr_schedule has come to 0",
        ),
        (
            {
                "optimizer": {
                    "generator_lr_schedule": {"kind": "linear", "delay": 4, "duration": 5}
                },
                "training": {"epochs": 10},
            },
            r"generator_lr_schedule has come to 0 before the last update of training\.epochs=10",
        ),
    ],
)
def test_bad_trees_are_refused(tree: dict[str, object], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        Experiment.model_validate(tree)


def test_a_batch_of_q_ss_counts_under_separate_only() -> None:
    tree = {"label_sampling": {"batch_size": 9, "unit": "batch"}, "scaling": {"workers": 2}}
    assert Experiment.model_validate(tree).scaling.most_workers == 2


def test_the_data_is_checked_before_work_starts() -> None:
    Experiment().validate_against(manifest())
    with pytest.raises(BadInput, match=r"data\.source\.size"):
        Experiment().validate_against(manifest((1, 30, 30)))
    with pytest.raises(BadInput, match="did you mean 'digit'"):
        Experiment(codes=CodesConfig(supervised=("digits",))).validate_against(manifest())


def test_a_consistency_needs_a_code_with_classes() -> None:
    angle = Code(name="angle", kind="continuous")
    columns = (*manifest().columns, angle)
    data = manifest().model_copy(update={"columns": columns})
    objective = ObjectiveConfig(consistency=ConsistencyConfig())
    for supervised in (("digit", "angle"), ("digit",)):
        Experiment(codes=CodesConfig(supervised=supervised), objective=objective).validate_against(
            data
        )
    with pytest.raises(BadInput, match=r"objective\.consistency has no effect: .* classes"):
        Experiment(codes=CodesConfig(supervised=("angle",)), objective=objective).validate_against(
            data
        )


def test_counts_of_workers() -> None:
    assert list(ScalingConfig(workers=3).counts()) == [3]
    assert list(ScalingConfig(workers=(2, 4)).counts()) == [2, 3, 4]
    assert ScalingConfig(workers=(2, 4)).most_workers == 4


class Alone(ExtraTerm):
    kind: Literal["elsewhere.Alone"] = "elsewhere.Alone"

    def generator_term(self, half: Half) -> Tensor:
        return half.fake.mean()


class Namesake(Alone):
    kind: Literal["elsewhere.L_I"] = "elsewhere.L_I"  # type: ignore[assignment]


class Fair(Alone):
    kind: Literal["elsewhere.fairness"] = "elsewhere.fairness"  # type: ignore[assignment]


class Idle(ExtraTerm):
    kind: Literal["elsewhere.Idle"] = "elsewhere.Idle"


@pytest.mark.parametrize(
    ("kinds", "refused"),
    [(["Alone", "Alone"], "Alone"), (["L_I"], "Namesake"), (["Alone", "Idle"], "Idle")],
)
def test_extra_terms_need_a_method_and_a_name_of_their_own(kinds: list[str], refused: str) -> None:
    extra = [{"kind": f"elsewhere.{kind}"} for kind in kinds]
    with pytest.raises(ValidationError, match=f"{refused} needs a discriminator_term or"):
        Experiment.model_validate({"objective": {"extra": extra}})


def test_an_extra_term_may_not_be_called_as_one_of_consistency_is() -> None:
    extra = [{"kind": "elsewhere.fairness"}]
    Experiment.model_validate({"objective": {"extra": extra}})
    with pytest.raises(ValidationError, match="a name that no other term"):
        Experiment.model_validate({"objective": {"extra": extra, "consistency": {}}})


def test_an_extra_term_is_part_of_what_a_run_is() -> None:
    extra = Experiment.model_validate({"objective": {"extra": [{"kind": "elsewhere.Alone"}]}})
    assert Experiment.from_yaml(extra.to_yaml()) == extra
    with pytest.raises(BadInput, match=r"objective\.extra"):
        check_resume(Experiment(), extra)
    old = yaml.safe_load(Experiment().to_yaml())
    del old["objective"]["extra"], old["objective"]["consistency"]
    check_resume(Experiment.from_yaml(yaml.safe_dump(old)), Experiment())


def test_labels_are_spread_first_or_later() -> None:
    with pytest.raises(ValidationError, match=r"first=none .* data\.spread\.rebuild"):
        Experiment.model_validate({"data": {"spread": {"first": "none"}}})
    experiment = Experiment.model_validate({"data": {"spread": {"first": "none", "rebuild": 5}}})
    assert Experiment.from_yaml(experiment.to_yaml()) == experiment
    old = yaml.safe_load(Experiment.model_validate({"data": {"spread": {}}}).to_yaml())
    del old["data"]["spread"]["rebuild"], old["data"]["spread"]["first"]
    check_resume(
        Experiment.from_yaml(yaml.safe_dump(old)),
        Experiment.model_validate({"data": {"spread": {}}}),
    )


def test_estimated_shares_of_classes_need_spread_labels() -> None:
    codes = {"prior": "estimated"}
    with pytest.raises(ValidationError, match=r"codes\.prior=estimated .* data\.spread=\{\}"):
        Experiment.model_validate({"codes": codes})
    later = {"spread": {"rebuild": 5, "first": "none"}}
    with pytest.raises(
        ValidationError, match=r"codes\.prior=estimated .* data\.spread\.first=pixels"
    ):
        Experiment.model_validate({"codes": codes, "data": later})
    experiment = Experiment.model_validate({"codes": codes, "data": {"spread": {}}})
    assert experiment.data.spread is not None
    assert experiment.data.spread.share == 0.6
