"""What we use of Ray that it does not promise: private or undocumented, each with its shape.

When this passes on the next version of Ray, the range in pyproject.toml may be widened.
"""

import ast
import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
from ray._private import ray_constants, services, worker
from ray._private.state import state
from ray.autoscaler._private.kuberay.autoscaling_config import AutoscalingConfigProducer
from ray.exceptions import RayTaskError
from ray.train import TrainingFailedError, WorkerGroupError
from ray.train._internal.storage import StorageContext, get_fs_and_path
from ray.train.torch import TorchConfig
from ray.tune import Callback, ExperimentAnalysis, Tuner
from ray.tune.execution import class_cache
from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Trial
from ray.tune.experimental import output
from ray.tune.impl.tuner_internal import TunerInternal
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, PopulationBasedTraining
from ray.tune.schedulers.pb2 import PB2
from ray.tune.search import SearchGenerator
from ray.tune.search.basic_variant import BasicVariantGenerator, _TrialIterator
from ray.tune.utils import callback

import ssgan
from ssgan.launch.preemption import preempted
from tests.helpers.trials import FakeController

SOURCE = Path(ssgan.__file__).parent


def settings(**more: Any) -> dict[str, Any]:
    return {"metric": "loss", "mode": "min", "time_attr": "epoch", **more}


def asha() -> Any:
    return ASHAScheduler(**settings(max_t=9, grace_period=2, reduction_factor=3))


def pbt() -> Any:
    mutations = {"x": [1, 2]}
    return PopulationBasedTraining(
        **settings(hyperparam_mutations=mutations, perturbation_interval=2, synch=True)
    )


def state_of_a_trial() -> Any:
    scheduler, trial = pbt(), Trial("x", stub=True)
    trial.config = {"x": 1}
    scheduler.on_trial_add(FakeController(), trial)
    return scheduler._trial_state[trial]


# Called or overridden by us, each with the parameters that we name or pass in this order.
METHODS: list[tuple[type, str, tuple[str, ...]]] = [
    (TuneController, "_set_trial_status", ("trial", "status")),
    (TuneController, "get_trials", ()),
    (TuneController, "get_live_trials", ()),
    (BasicVariantGenerator, "on_trial_complete", ("trial_id", "result", "error")),
    (SearchGenerator, "on_trial_complete", ("trial_id", "result", "error")),
    *(
        (scheduler, name, parameters)
        for scheduler in (FIFOScheduler, ASHAScheduler, PopulationBasedTraining, PB2)
        for name, parameters in (
            ("on_trial_add", ("tune_controller", "trial")),
            ("on_trial_result", ("tune_controller", "trial", "result")),
            ("choose_trial_to_run", ("tune_controller",)),
        )
    ),
    *(
        (scheduler, name, parameters)
        for scheduler in (PopulationBasedTraining, PB2)
        for name, parameters in (
            ("_quantiles", ()),
            (
                "_checkpoint_or_exploit",
                ("trial", "tune_controller", "upper_quantile", "lower_quantile"),
            ),
            ("_exploit", ("tune_controller", "trial", "trial_to_clone")),
            ("_get_new_config", ("trial", "trial_to_clone")),
        )
    ),
    (type(state), "get_draining_nodes", ()),
    (TorchConfig().backend_cls, "on_start", ("worker_group", "backend_config")),
    (Callback, "on_trial_recover", ("iteration", "trials", "trial")),
    (Callback, "get_state", ()),
    (ExperimentAnalysis, "_fetch_trial_dataframes", ()),
    (AutoscalingConfigProducer, "__init__", ("ray_cluster_name", "ray_cluster_namespace")),
    (AutoscalingConfigProducer, "__call__", ()),
]
# Read or written by us on an object.
ATTRIBUTES: dict[str, tuple[Callable[[], Any], tuple[str, ...]]] = {
    "ASHA": (asha, ("_metric", "_metric_op", "_trial_info", "_brackets")),
    "ASHA's bracket": (lambda: asha()._brackets[0], ("_rungs",)),
    "PBT": (
        pbt,
        ("_perturbation_interval", "_trial_state", "_next_perturbation_sync"),
    ),
    "a trial's state in PBT": (
        state_of_a_trial,
        ("last_perturbation_time", "last_train_time", "last_checkpoint"),
    ),
    "a trial": (
        lambda: Trial("x", stub=True),
        ("status", "config", "last_result", "experiment_tag", "run_metadata", "trial_id"),
    ),
    "a trial's metadata": (lambda: Trial("x", stub=True).run_metadata, ("num_failures",)),
}
# Texts that we pass to Ray or look for, with the code of Ray that knows them.
TEXTS: list[tuple[Any, str]] = [
    (services.start_monitor, "--gcs-address="),
    (services.start_monitor, "--autoscaling-config="),
    (TuneController, "experiment_state-"),
    (output, "RAY_AIR_NEW_OUTPUT"),
    (callback, "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"),
    (ray.init, "_temp_dir"),
]


@pytest.mark.parametrize(("owner", "name", "parameters"), METHODS)
def test_a_method_takes_what_we_pass(owner: type, name: str, parameters: tuple[str, ...]) -> None:
    known = list(inspect.signature(getattr(owner, name)).parameters)
    assert known[1 : 1 + len(parameters)] == list(parameters)


@pytest.mark.parametrize("owner", ATTRIBUTES)
def test_an_object_has_what_we_read(owner: str) -> None:
    make, names = ATTRIBUTES[owner]
    made = make()
    assert [name for name in names if not hasattr(made, name)] == []


@pytest.mark.parametrize(("where", "text"), TEXTS)
def test_ray_knows_the_words_that_we_use(where: Any, text: str) -> None:
    assert text in inspect.getsource(where)


def test_a_search_algorithm_has_the_state_that_we_change() -> None:
    grid = inspect.getsource(BasicVariantGenerator)
    assert all(one in grid for one in ("self._iterators", "self._total_samples", "self._finished"))
    walk = inspect.getsource(_TrialIterator)
    assert all(one in walk for one in ("self.num_samples =", "self.num_samples_left"))
    suggested = inspect.getsource(SearchGenerator.set_state)
    assert all(one in suggested for one in ("self._total_samples", "self._finished"))
    assert get_fs_and_path("/tmp")[1] == "/tmp"
    storage = inspect.getsource(StorageContext.__init__)
    assert "self.storage_filesystem, self.storage_fs_path = get_fs_and_path(" in storage


def test_rungs_are_pairs_of_an_epoch_and_of_signed_values_by_trial() -> None:
    scheduler, trial = asha(), Trial("x", stub=True)
    scheduler.on_trial_add(None, trial)
    (bracket,) = scheduler._brackets
    assert scheduler._trial_info[trial.trial_id] is bracket
    assert [milestone for milestone, _ in bracket._rungs] == [6, 2]
    scheduler.on_trial_result(None, trial, {"epoch": 2, "loss": 0.5})
    assert bracket._rungs[1][1] == {trial.trial_id: scheduler._metric_op * 0.5}
    assert scheduler._metric_op == -1


def test_tune_counts_trials_that_are_suggested_from_one() -> None:
    assert "self._counter = 0" in inspect.getsource(SearchGenerator.__init__)
    created = inspect.getsource(SearchGenerator.create_trial_if_possible)
    assert created.index("self._counter += 1") < created.index('"{0}_{1}".format')


def test_tune_hands_variables_on_by_names_in_a_set_that_may_be_emptied() -> None:
    assert "ENV_VARS_TO_PROPAGATE" in inspect.getsource(class_cache._ActorClassCache.get)
    assert isinstance(class_cache.ENV_VARS_TO_PROPAGATE, set)


def test_errors_hold_what_the_workers_raised() -> None:
    assert issubclass(WorkerGroupError, TrainingFailedError)
    assert WorkerGroupError("x", {3: ValueError("y")}).worker_failures.keys() == {3}
    assert isinstance(RayTaskError("f", "traceback", OSError("full")).cause, OSError)


def test_tune_starts_a_trial_that_is_taken_away_again_and_counts_no_failure() -> None:
    trial = Trial("x", stub=True)
    told = RayTaskError("train", "traceback", preempted("its machine is taken away"))
    trial._handle_ray_task_error(told)
    assert (trial.run_metadata.num_failures, trial.should_recover()) == (0, True)
    trial._handle_ray_task_error(RayTaskError("train", "traceback", OSError("full")))
    assert (trial.run_metadata.num_failures, trial.should_recover()) == (1, False)


def test_ray_takes_the_loopback_address_where_it_has_no_clusters(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ray_constants, "ENABLE_RAY_CLUSTER", False)
    monkeypatch.setattr(worker, "_global_node", None)
    assert services.get_node_ip_address() == "127.0.0.1"
    source = inspect.getsource(ray_constants)
    assert re.search(r"ENABLE_RAY_CLUSTER = env_bool\(\s+ENABLE_RAY_CLUSTERS_ENV_VAR,", source)


def test_a_tuner_has_callbacks_and_a_scheduler_that_we_replace() -> None:
    tuner: Any = Tuner(lambda config: None)
    assert isinstance(tuner._local_tuner, TunerInternal)
    assert hasattr(tuner._local_tuner._run_config, "callbacks")
    assert hasattr(tuner._local_tuner._tune_config, "scheduler")


def test_a_restored_tuner_takes_callbacks_and_scheduler_from_its_settings() -> None:
    resumed = inspect.getsource(TunerInternal._fit_resume)
    assert "scheduler=self._tune_config.scheduler" in resumed
    assert "callbacks=self._run_config.callbacks" in inspect.getsource(
        TunerInternal._get_tune_run_arguments
    )


def test_every_private_name_that_the_schedulers_use_is_named_here() -> None:
    named = {name for _, name, _ in METHODS}
    named |= {name for _, names in ATTRIBUTES.values() for name in names}
    used = set(_private_names((SOURCE / "tuning/ray_schedulers.py").read_text()))
    assert "_exploit" in used
    assert used - named == set()


def test_every_private_module_that_we_import_is_named_here() -> None:
    here = Path(__file__).read_text()
    found = set()
    for file in SOURCE.rglob("*.py"):
        pattern = r"(?:from|import) (ray\.[\w.]*(?:\._\w+|\.v2|\.pb2)[\w.]*)"
        found |= set(re.findall(pattern, file.read_text()))
    assert "ray.autoscaler._private.kuberay.autoscaling_config" in found
    for module in found:
        importlib.import_module(module)
        assert f"from {module} import" in here


def _private_names(source: str) -> Iterator[str]:
    """Yield attributes with an underscore that no class in a module makes by itself."""
    tree = ast.parse(source)
    own = {"_runs", "_last", "_steps", "_space", "_coming", "_controller"}
    own |= {"_curves", "_every"}
    own |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    overridden = {name for _, name, _ in METHODS}
    for node in ast.walk(tree):
        name = node.attr if isinstance(node, ast.Attribute) else ""
        if re.match("_[a-z]", name) and (name not in own or name in overridden):
            yield name
