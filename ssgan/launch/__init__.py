"""From an experiment to a result: on this machine, or by workers under Ray Train."""

from ssgan.launch.driver import train
from ssgan.launch.outcome import Result

__all__ = ["Result", "train"]
