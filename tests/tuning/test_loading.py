from pathlib import Path
from typing import Any

import pytest
import yaml

from ssgan.base.errors import BadInput
from ssgan.tuning.loading import change_search, load_search, search_names
from ssgan.tuning.search import Search, difference
from tests.tuning.conftest import definition


@pytest.mark.parametrize("name", search_names())
def test_every_search_that_ships_is_sound_and_is_written_and_read(name: str) -> None:
    search = load_search(name)
    again = Search.from_yaml(search.to_yaml())
    assert again == search
    assert again.to_yaml() == search.to_yaml()
    assert difference(again, search) == {}


def test_the_shipped_searches_are_those_of_the_documentation() -> None:
    assert search_names() == ["annealing", "labels", "lambdas", "lambdas-pbt", "quickstart"]
    assert load_search("labels").total == 15
    assert load_search("lambdas").total == 16
    assert (load_search("quickstart").base.name, load_search("lambdas").base.name) == (
        "digits-asked",
        "mnist",
    )


def test_base_and_overrides_of_the_caller_go_before_those_of_the_file() -> None:
    search = load_search(
        "lambdas",
        "digits",
        [
            "training.epochs=7",
            "search.trials=4",
            "search.finals.best=2",
            "search.scheduler.grace=3",
        ],
    )
    assert search.base.name == "digits"
    assert search.base.training.epochs == 7
    assert search.base.training.steps_per_epoch == 50  # the search's own
    assert (search.total, search.finals.best, search.finals.seeds) == (4, 2, 3)
    assert search.scheduler.model_dump() == {"kind": "asha", "grace": 3, "reduction": 4}


def test_another_kind_leaves_the_fields_of_the_old_one_behind() -> None:
    search = load_search("lambdas", overrides=["search.scheduler.kind=none"])
    assert search.scheduler.kind == "none"
    search = load_search("lambdas", overrides={"search.scheduler": {"kind": "pbt", "interval": 5}})
    assert search.scheduler.model_dump()["interval"] == 5


def test_a_file_of_the_users_own(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "base: digits\n"
        "overrides: {training.epochs: 4, scaling.cpus: 0.5, scaling.retries: 1}\n"
        "space: {objective.lambda1: {kind: uniform, low: 0, high: 1}}\n"
        "trials: 3\n"
    )
    search = load_search(file)
    assert (search.name, search.total, search.epochs) == ("mine", 3, 4)
    # Of one worker these two count in a search only, where it shares machines with others.
    assert (search.base.scaling.cpus, search.base.scaling.retries) == (0.5, 1)


def test_a_schedule_replaces_the_bases_as_a_whole() -> None:
    space = {
        "label_sampling.probability": {
            "kind": "schedule",
            "options": [
                {"kind": "exponential", "duration": {"kind": "uniform", "low": 1, "high": 2}}
            ],
        }
    }
    search = load_search(definition(space=space))
    value = {"kind": "exponential", "duration": 1.5}
    schedule = search.experiment({"label_sampling.probability": value}).label_sampling.probability
    assert schedule.model_dump() == {
        "kind": "exponential",
        "duration": 1.5,
        "start": 1.0,  # what the option leaves open is the digits preset's own
        "delay": 0.0,
        "floor": 0.0,
        "unit": "epochs",
    }


def test_the_metric_says_whether_less_or_more_is_better() -> None:
    assert load_search(definition()).mode == "min"
    search = load_search("quickstart", overrides=["search.metric=q_ss_accuracy"])
    assert search.mode == "max"
    assert yaml.safe_load(search.to_yaml())["mode"] == "max"
    contrary = load_search(definition(metric="q_ss_accuracy", mode="min"))
    assert contrary.mode == "min"
    with pytest.raises(BadInput, match=r"neither less nor more of diversity .*set search\.mode"):
        load_search(definition(metric="diversity"))
    assert load_search(definition(metric="diversity", mode="max")).mode == "max"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tirals": 4}, "no field 'tirals'; did you mean 'trials'"),
        ({"space": {}}, "the search's space is empty"),
        ({"space": None}, "the search's space is empty"),
        ({"base": None}, "names no base experiment"),
        ({"base": "mnits"}, "did you mean 'mnist'"),
        ({"trials": 0}, r"search\.trials: .*greater than or equal to 1"),
        ({"mode": "least"}, r"search\.mode: .*'min' or 'max'"),
        ({"metric": 3}, r"^search\.metric: [^\n]*valid string$"),
        (
            {"scheduler": {"kind": "asha", "time_attr": "training_iteration"}},
            "time is always counted in epochs",
        ),
        ({"scheduler": {"kind": "hyperband"}}, r"search\.scheduler: "),
        ({"space": {"objective.lambda1": {"kind": "unifrom"}}}, r"search\.space\.objective"),
    ],
)
def test_a_definition_that_is_none_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        load_search(definition(**changes))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("lambda", "there is no search 'lambda'; did you mean 'lambdas'"),
        ("nowhere.yaml", "cannot read the search file"),
    ],
)
def test_a_search_that_is_not_there_is_refused(source: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        load_search(source)


def test_a_file_that_holds_no_search_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    for text, message in (("[1", "is not YAML"), ("- 1", "must hold fields")):
        file.write_text(text)
        with pytest.raises(BadInput, match=message):
            load_search(file)
    with pytest.raises(BadInput, match="not a resolved search of ssgan"):
        Search.from_yaml("base: 3")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("epochs", "is not an override"),
        ("search.trials=[", "is not YAML"),
        ("training.epoch=3", "did you mean 'epochs'"),
        ("search.trails=3", "did you mean 'trials'"),
    ],
)
def test_a_bad_override_is_refused(override: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        load_search("lambdas", "digits", [override])


def test_fields_of_a_search_that_was_started_can_be_changed() -> None:
    started = load_search("quickstart", overrides=["search.trials=6"])
    changed = change_search(started, ["search.trials=12", "search.finals.best=5", "seed=3"])
    assert difference(started, changed) == {
        "search.trials": (6, 12),
        "search.finals.best": (started.finals.best, 5),
        "seed": (0, 3),
    }
    assert change_search(started, []) == started
    with pytest.raises(BadInput, match="did you mean 'trials'"):
        change_search(started, ["search.trails=3"])


def test_a_space_may_use_former_names(caplog: pytest.LogCaptureFixture) -> None:
    drawn = {"kind": "uniform", "low": 0.1, "high": 1}
    search = load_search(definition(space={"training.average.ramp_up": drawn}))
    assert [*search.space] == ["training.ema.ramp_up"]
    assert "training.average.ramp_up is called training.ema.ramp_up now" in caplog.text
    caplog.clear()
    old = search.to_yaml().replace("training.ema", "training.average").replace(" ema:", " average:")
    assert Search.from_yaml(old) == search
    assert not caplog.records
    both = {"training.average.ramp_up": drawn, "training.ema.ramp_up": drawn}
    with pytest.raises(BadInput, match=r"former name of training\.ema\.ramp_up"):
        load_search(definition(space=both))
