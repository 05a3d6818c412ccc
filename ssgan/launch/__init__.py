"""From an experiment to a result: on this machine, or by workers under Ray Train."""

from typing import TYPE_CHECKING, Any

from ssgan.launch.outcome import Result

if TYPE_CHECKING:
    from ssgan.launch.driver import train

__all__ = ["Result", "train"]


def __getattr__(name: str) -> Any:
    # The driver needs MLflow, whose import takes a second and more; workers and trials do not.
    if name == "train":
        from ssgan.launch.driver import train

        return train
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
