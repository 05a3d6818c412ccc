"""ss-InfoGAN as a distributed training system: generators whose inputs have names.

What is exported here is loaded when it is first used: an exported generator needs neither Ray nor
MLflow, and they take seconds to import.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ssgan.experiment.loading import load_experiment
    from ssgan.export.generator import NamedGenerator
    from ssgan.launch.driver import train
    from ssgan.launch.outcome import Result
    from ssgan.tuning.loading import load_search
    from ssgan.tuning.program import run_search
    from ssgan.tuning.tuner import build_tuner

__version__ = "0.2.0.dev0"

__all__ = [
    "NamedGenerator",
    "Result",
    "__version__",
    "build_tuner",
    "load_experiment",
    "load_search",
    "run_search",
    "train",
]

_MODULES = {
    "NamedGenerator": "ssgan.export.generator",
    "Result": "ssgan.launch.outcome",
    "build_tuner": "ssgan.tuning.tuner",
    "load_experiment": "ssgan.experiment.loading",
    "load_search": "ssgan.tuning.loading",
    "run_search": "ssgan.tuning.program",
    "train": "ssgan.launch.driver",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
