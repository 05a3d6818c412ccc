"""From an experiment to a result: on this machine, or by workers under Ray Train."""

from ssgan.launch.outcome import Result
from ssgan.launch.train import train

__all__ = ["Result", "train"]
