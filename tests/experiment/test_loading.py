import logging
import os
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import ssgan
from ssgan.base.errors import BadInput
from ssgan.data.sources import ParquetSource
from ssgan.experiment.fields import (
    check_path,
    check_resume,
    current_path,
    difference,
    field_class,
    field_models,
    flatten,
)
from ssgan.experiment.loading import as_file, load_experiment, preset_names, with_values
from ssgan.experiment.tree import Experiment, TrainingConfig
from ssgan.method.augment import AugmentConfig
from ssgan.method.codes import CodesConfig, UnsupervisedCode
from ssgan.method.schedules import Constant, Cosine, Exponential, Linear, Step
from ssgan.networks.ema import EmaConfig

unhurried = settings(deadline=None, max_examples=40)  # no timed assertions


@st.composite
def schedules(draw: st.DrawFn) -> Any:
    kind = draw(st.sampled_from([Constant, Step, Linear, Cosine, Exponential]))
    if kind is Constant:
        return Constant(value=draw(st.floats(0, 2)))
    floor, start = sorted([draw(st.floats(0, 1)), draw(st.floats(0, 1))])
    return kind(start=start, floor=floor, unit=draw(st.sampled_from(["images", "epochs"])))


@st.composite
def experiments(draw: st.DrawFn) -> Experiment:
    tree = Experiment(
        seed=draw(st.integers(-(10**6), 10**6)),
        instance_noise=draw(schedules()),
        codes=CodesConfig(
            unsupervised=tuple(
                UnsupervisedCode(name=f"u{k}", size=draw(st.integers(1, 3)))
                for k in range(draw(st.integers(1, 3)))
            )
        ),
    ).model_dump(mode="json")
    tree["label_sampling"]["probability"] = draw(schedules()).model_dump()
    tree["label_sampling"]["floor"] = draw(st.sampled_from(["share", 0.25]))
    tree["label_sampling"]["augment"] = draw(st.sampled_from([None, AugmentConfig().model_dump()]))
    tree["data"]["labels"] = draw(st.sampled_from([132, 0.5, "10%"]))
    tree["optimizer"]["generator_lr"] = draw(st.floats(1e-8, 1))
    return Experiment.model_validate(tree)


@unhurried
@given(experiments(), st.randoms(use_true_random=False))
def test_dotted_overrides_rebuild_any_experiment(experiment: Experiment, random: Any) -> None:
    changes = difference(Experiment(), experiment)
    given_values = {path: new for path, (_, new) in flatten_missing(changes).items()}
    items = list(given_values.items())
    random.shuffle(items)
    as_text = [f"{path}={yaml.safe_dump(value, default_flow_style=True)}" for path, value in items]
    as_text = [text.removesuffix("...\n") for text in as_text]
    assert with_values(Experiment(), dict(items)) == experiment
    assert with_values(Experiment(), as_text) == experiment


def flatten_missing(changes: dict[str, Any]) -> dict[str, Any]:
    """Leave out fields that are gone because their kind, or their branch, is another."""
    gone = ("instance_noise.", "label_sampling.probability.")
    return {p: c for p, c in changes.items() if not (c[1] is None and p.startswith(gone))}


@unhurried
@given(experiments())
def test_flat_fields_are_values_and_classed(experiment: Experiment) -> None:
    flat = flatten(experiment)
    assert flat["objective.lambda2"] == 2.0
    for path, value in flat.items():
        assert not isinstance(value, dict) or not value
        assert field_class(path) in ("mutable", "extent", "free", "identity")
    assert with_values(experiment, flat) == experiment
    assert difference(experiment, experiment) == {}


@pytest.mark.parametrize("name", preset_names())
def test_presets_load_and_survive_yaml(name: str) -> None:
    experiment = load_experiment(name)
    assert experiment.name == name
    assert Experiment.from_yaml(experiment.to_yaml()) == experiment


@pytest.mark.parametrize("name", preset_names())
def test_overrides_that_a_presets_comments_name_are_right(name: str) -> None:
    text = (Path(ssgan.__file__).parent / "experiment/presets" / f"{name}.yaml").read_text()
    lines = [line.removeprefix("#") for line in text.splitlines() if line.startswith("#   ")]
    overrides = shlex.split(" ".join(lines))
    experiment = load_experiment(name, overrides)
    assert (experiment.data.source.kind == "parquet") == bool(overrides)


def test_the_authors_preset() -> None:
    authors = load_experiment("mnist-authors")
    assert authors.label_sampling.unit == "batch"
    assert authors.data.labels == 132
    assert not authors.data.balanced
    assert authors.training.epochs * authors.training.steps_per_epoch == 5000
    stair = authors.label_sampling.probability
    per_epoch = authors.images_per_epoch
    assert [stair.at(per_epoch * k, per_epoch) for k in range(3)] == pytest.approx([1, 0.9, 0.8])


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("training.epochs=7", "training.epochs", 7),
        ("objective.lambda2=1.5", "objective.lambda2", 1.5),
        ("optimizer.generator_lr=1e-4", "optimizer.generator_lr", 1e-4),
        ("optimizer.generator_lr=.5e-3", "optimizer.generator_lr", 5e-4),
        ("optimizer.generator_lr=2E-3", "optimizer.generator_lr", 2e-3),
        ("data.labels=0.5", "data.labels", 0.5),
        ("data.labels=20%", "data.labels", "20%"),
        ("data.labels=50", "data.labels", 50),
        ("codes.supervised=[digit]", "codes.supervised", ["digit"]),
        ("tracking.uri=http://host:5000/?a=b", "tracking.uri", "http://host:5000/?a=b"),
        ("tracking.uri=null", "tracking.uri", None),
        ("label_sampling.floor=share", "label_sampling.floor", "share"),
        ("seed=-1", "seed", -1),
        ("codes.supervised=[no, yes]", "codes.supervised", ["no", "yes"]),
        ("data.balanced=no", "data.balanced", False),
        ("label_sampling.augment.rotation=5", "label_sampling.augment.rotation", 5.0),
    ],
)
def test_values_are_read_as_they_are_written(text: str, path: str, value: Any) -> None:
    assert flatten(load_experiment("digits", [text]))[path] == value


def test_the_last_override_wins() -> None:
    assert load_experiment("digits", ["seed=1", "seed=2"]).seed == 2


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("objective.lamda2=1", r"'objective\.lamda2'.*did you mean 'lambda2'"),
        ("objectives.lambda2=1", "did you mean 'objective'"),
        ("lambda2=1", "unknown field 'lambda2': an experiment has no 'lambda2'"),
        ("training.epochs.more=1", r"training\.epochs is a single value"),
        ("data.source.sise=8", "did you mean 'size'"),
        ("instance_noise.begin=1", "instance_noise has no 'begin'"),
        ("training={epoch: 3}", "did you mean 'epochs'"),
        ("training.epochs", "write field=value"),
        ("=3", "write field=value"),
        ("seed=[1", "is not YAML"),
        ("seed=", "seed=None"),
        ("training.epochs=0", r"training\.epochs=0: .*greater than or equal to 1"),
        ("training.epochs=many", r"training\.epochs=many: "),
        ("training=3", "training=3: "),
        ("objective.lambda1=-1", r"objective\.lambda1=-1: "),
        ("label_sampling.floor=1.5", r"label_sampling\.floor=1\.5: "),
        ("label_sampling.unit=epoch", r"label_sampling\.unit=epoch: "),
        ("instance_noise.kind=wavy", "instance_noise: .*wavy"),
        ("instance_noise.value=-1", r"instance_noise\.value=-1: "),
        ("data.source.kind=folder", r"data\.source\.root is required"),
        ("data.source.kind=mnits", r"data\.source: .*mnits"),
        ("codes.unsupervised=[{size: 2}]", r"codes\.unsupervised\.0\.name is required"),
        ("scaling.workers=3", r"training\.batch_size=64.*3 workers"),
        ("scaling.workers=0", "workers is a number from 1"),
    ],
)
def test_bad_overrides_are_refused(override: str, problem: str) -> None:
    with pytest.raises(BadInput, match=problem):
        load_experiment("digits", [override])


def test_unknown_presets_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no preset 'mnits'; did you mean 'mnist'"):
        load_experiment("mnits")
    file = tmp_path / "mine.yaml"
    file.write_text("preset: mnits")
    with pytest.raises(BadInput, match=r"mine\.yaml: there is no preset 'mnits'; did you mean"):
        load_experiment(file)


def test_a_file_starts_from_a_preset(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("preset: digits\ntraining: {epochs: 3}\nobjective.lambda2: 1e-1\n")
    experiment = load_experiment(file, ["training.batch_size=32"])
    assert experiment.name == "mine"
    assert experiment.training.epochs == 3
    assert experiment.training.batch_size == 32
    assert experiment.objective.lambda2 == 0.1
    assert experiment.networks == load_experiment("digits").networks


def test_paths_of_a_file_are_relative_to_it_where_they_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "sub" / "mine.yaml"
    (tmp_path / "sub" / "photos").mkdir(parents=True)
    file.write_text("data: {source: {kind: folder, root: photos, csv: labels.csv}}\n")
    source = load_experiment(file).data.source
    assert (source.root, source.csv) == (tmp_path / "sub" / "photos", Path("labels.csv"))
    # What is given on the command line is relative to the working directory.
    given = load_experiment("sub/mine.yaml", ["data.source.root=photos"]).data.source
    assert given.root == Path("photos")


def test_a_file_of_its_own_starts_from_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "mine.yml"
    file.write_text("seed: 4\n")
    assert load_experiment(str(file)) == Experiment(name="mine", seed=4)
    file.write_text("{}")
    assert load_experiment(str(file)) == Experiment(name="mine")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"seed: [", "is not YAML"),
        (b"- seed", "not a list"),
        (b"\xff\xfe", "cannot read"),
        (b"seeds: 3", "did you mean 'seed'"),
        (b"training: {epochs: 0}", r"training\.epochs=0"),
        (b"codes: {noise: 3, nois: 4}", "did you mean 'noise'"),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, content: bytes, problem: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_bytes(content)
    with pytest.raises(BadInput, match=problem):
        load_experiment(file)


def test_missing_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"cannot read the experiment file .*none\.yaml"):
        load_experiment(tmp_path / "none.yaml")
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(BadInput, match="cannot read the experiment file"):
        load_experiment(tmp_path / "folder.yaml")


def test_another_kind_keeps_the_fields_that_it_shares(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "ssgan")
    experiment = load_experiment("mnist-authors", ["label_sampling.probability.kind=cosine"])
    assert experiment.label_sampling.probability == Cosine(
        start=1.0, floor=0.0, duration=1, unit="epochs"
    )
    assert "drops the preset's label_sampling.probability.drop" in caplog.text
    caplog.clear()
    experiment = load_experiment("mnist-authors", ["label_sampling.probability.kind=step"])
    assert isinstance(experiment.label_sampling.probability, Step)
    assert "drops" not in caplog.text


@pytest.mark.parametrize("reverse", [False, True])
def test_a_kind_and_its_fields_come_in_any_order(reverse: bool) -> None:
    overrides = ["instance_noise.kind=linear", "instance_noise.start=0.3"]
    experiment = load_experiment("digits", overrides[::-1] if reverse else overrides)
    assert experiment.instance_noise == Linear(start=0.3)


@pytest.mark.parametrize("reverse", [False, True])
def test_a_field_that_the_kind_does_not_have_is_refused(reverse: bool) -> None:
    field = "label_sampling.probability.start"
    overrides = ["label_sampling.probability.kind=constant", f"{field}=0.5"]
    with pytest.raises(BadInput, match=rf"{field}=0\.5: has no effect with .*kind=constant"):
        load_experiment("digits", overrides[::-1] if reverse else overrides)


def test_a_branch_may_be_given_whole() -> None:
    overrides = ["instance_noise={kind: cosine, start: 0.2}", "training={epochs: 2}"]
    experiment = load_experiment("digits", overrides)
    assert experiment.instance_noise == Cosine(start=0.2)
    assert experiment.training.epochs == 2
    assert experiment.training.batch_size == 64


def test_a_mapping_of_values_may_be_given() -> None:
    experiment = load_experiment("digits", {"seed": 3, "objective": {"lambda1": 0.5}})
    assert (experiment.seed, experiment.objective.lambda1) == (3, 0.5)


def test_paths_lead_to_configuration_classes() -> None:
    assert field_models("") == [Experiment]
    assert field_models("instance_noise") == [Constant, Step, Linear, Cosine, Exponential]
    assert field_models("label_sampling.augment") == [AugmentConfig]
    assert field_models("training.epochs") == []
    assert field_models("nothing.at.all") == []


@pytest.mark.parametrize(
    ("preset", "size"), [("digits", 16), ("mnist", 28), ("fashion-mnist", 28), ("svhn", 32)]
)
def test_a_new_kind_takes_no_defaults_of_the_old_one(preset, size):
    assert load_experiment(preset).data.source.size == size


@pytest.mark.parametrize("preset", preset_names())
def test_an_experiment_is_written_as_a_file_that_reads_back(preset: str, tmp_path: Path) -> None:
    changes = {
        "objective.lambda1": 0.3,
        "label_sampling.probability": {"kind": "exponential", "duration": 3.5},
        "scaling.threads": 1,
    }
    wanted = with_values(load_experiment(preset), changes)
    text = as_file(wanted)
    assert text.startswith(f"preset: {preset}\n")
    (tmp_path / "best.yaml").write_text(text)
    read = load_experiment(tmp_path / "best.yaml")
    assert read.model_copy(update={"name": preset}) == wanted


def test_a_field_in_vain_is_not_written_to_a_file(tmp_path: Path) -> None:
    lent = with_values(load_experiment("digits"), {"scaling.cpus": 0.5, "seed": 3})
    (tmp_path / "best.yaml").write_text(as_file(lent))
    read = load_experiment(tmp_path / "best.yaml")
    assert (read.seed, read.scaling.cpus) == (3, 1.0)


def test_an_experiment_of_no_preset_is_written_as_a_file(tmp_path: Path) -> None:
    wanted = load_experiment("digits", {"data.labels": 30}).model_copy(update={"name": "own"})
    (tmp_path / "own.yaml").write_text(as_file(wanted))
    assert load_experiment(tmp_path / "own.yaml") == wanted


FORMER = [
    ("data.source.judge", "test"),
    ("data.source.judge_rows", "test_rows"),
    ("data.source.judge_share", "test_share"),
    ("training.average", "ema"),
    ("training.average.half_life", "ema.half_life"),
]


@pytest.mark.parametrize(("former", "name"), FORMER)
def test_a_former_name_is_known_by_its_name_of_today(
    former: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    branch = "data.source" if former.startswith("data") else "training"
    assert check_path(former) == current_path(former) == f"{branch}.{name}"
    assert [record.getMessage() for record in caplog.records] == [
        f"{former} is called {branch}.{name} now; the former name is read until ssgan 0.3"
    ]
    assert field_models(former) == field_models(f"{branch}.{name}")


@pytest.mark.parametrize(
    "overrides",
    [
        ["training.average.half_life=9", "training.ema.ramp_up=0.5"],
        ["training.average={half_life: 9, ramp_up: 0.5}"],
        {"training": {"average": {"half_life": 9, "ramp_up": 0.5}}},
    ],
)
def test_overrides_may_use_former_names(overrides: Any, caplog: pytest.LogCaptureFixture) -> None:
    for experiment in (
        load_experiment("digits", overrides),
        with_values(load_experiment("digits"), overrides),
    ):
        assert experiment.training.ema == EmaConfig(half_life=9, ramp_up=0.5)
    assert "training.average.half_life is called training.ema.half_life now" in caplog.text


def test_a_file_may_use_former_names(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "old.yaml"
    file.write_text(
        "preset: digits\n"
        "data: {source: {kind: parquet, train: faces.parquet, judge_share: 0.3}}\n"
        "training: {average: {half_life: 9}}\n"
    )
    experiment = load_experiment(file, ["data.source.test_share=0.2"])
    assert experiment.data.source == ParquetSource(train="faces.parquet", test_share=0.2)
    assert experiment.training.ema.half_life == 9
    assert len(caplog.records) == 2


@pytest.mark.parametrize(
    "overrides",
    [
        ["training.average.half_life=9", "training.ema.half_life=8"],
        {"training": {"average": {"half_life": 9}, "ema": {"half_life": 8}}},
    ],
)
def test_a_field_is_not_given_by_its_former_name_and_its_name(overrides: Any) -> None:
    with pytest.raises(BadInput, match=r"are the same field; set training\.ema\.half_life alone"):
        load_experiment("digits", overrides)


def test_the_experiment_of_an_old_run_is_read_without_a_warning_and_resumed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = load_experiment("digits", ["data.source={kind: parquet, train: x, test_rows: [4, 9]}"])
    text = now.to_yaml().replace("test_rows", "judge_rows").replace(" ema:", " average:")
    text = text.replace("test_share", "judge_share").replace(" test:", " judge:")
    caplog.clear()
    old = Experiment.from_yaml(text)
    assert not caplog.records
    assert old == now
    assert difference(old, now) == {}
    check_resume(old, now)
    changed = with_values(now, ["data.source.judge_rows=[4,8]"])
    with pytest.raises(BadInput, match=r"data\.source\.test_rows: \[4, 9\] -> \[4, 8\]"):
        check_resume(old, changed)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("preset: digits\ntraining: {epochs: 2}\ntraining: {steps_per_epoch: 5}", "line 3.*line 2"),
        ("", "is empty; write fields"),
        ("# nothing yet", "is empty"),
        ("- preset", "must hold fields and their values, not a list"),
        ("preset: digits\ntraining: {epochs: 1:30}", "training.epochs=1:30: .*integer"),
        ("preset: digits\ntraining: {epochs: true}", "training.epochs=True: true is not a number"),
        ("preset: digits\nobjective: {lambda2: .inf}", "objective.lambda2=inf: .*finite"),
        (f"preset: digits\nx: {'[' * 5000}{']' * 5000}", "deeper than"),
        (f"preset: digits\nseed: {'9' * 5000}", "5000 digits"),
        ('preset: digits\ncodes: {supervised: ["a\\0b"]}', "control character"),
        ("preset: digits\ncodes: {supervised: [a=b]}", "a code cannot be called 'a=b'"),
        (f"preset: digits\ncodes: {{supervised: [{'a' * 101}]}}", "up to 100 visible characters"),
        ("preset: digits\ncodes: {unsupervised: [{name: u, size: 1000000000}]}", "10000"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused_in_a_line(
    tmp_path: Path, text: str, problem: str
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(BadInput, match=problem) as refused:
        load_experiment(file)
    assert "\n" not in str(refused.value)


def test_numbers_are_those_of_yaml_1_2(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("preset: digits\nseed: 0777\n")
    assert load_experiment(file).seed == 777
    assert load_experiment("digits", ["seed=0o17"]).seed == 15


@pytest.mark.parametrize(
    ("overrides", "problem"),
    [
        (["training={epochs: 2, epochs: 3}"], "epochs is set already"),
        (["seed=true"], "seed=True: true is not a number"),
        (["objective.lambda2=.nan"], "finite"),
        (["objective.lambda2=1e999"], "finite"),
        ([f"seed={'9' * 5000}"], "digits has more than 64 bits"),
        (["codes.supervised=[a=b]"], "cannot be called"),
        (["seed=["], r"seed=\[ is not YAML: "),
    ],
)
def test_an_override_that_cannot_be_meant_is_refused_in_a_line(
    overrides: list[str], problem: str
) -> None:
    with pytest.raises(BadInput, match=problem) as refused:
        load_experiment("digits", overrides)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 300


def test_many_problems_are_told_in_five_lines() -> None:
    wrong = {f"training.{name}": -1 for name in TrainingConfig.model_fields}
    with pytest.raises(BadInput, match=r"and \d+ more") as refused:
        load_experiment("digits", wrong)
    assert len(str(refused.value).splitlines()) == 5


def test_a_named_pipe_is_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "mine.yaml"
    os.mkfifo(pipe)
    with pytest.raises(BadInput, match="it is not a file"):
        load_experiment(pipe)


def test_an_objective_without_weights_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    load_experiment("digits", ["objective.lambda1=0"])
    assert not caplog.records
    load_experiment("digits", ["objective.lambda1=0", "objective.lambda2=0"])
    assert "the codes mean nothing" in caplog.text
