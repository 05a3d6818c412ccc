"""Checkpoints: saved states of a run with their hashes, and where training goes on from."""

from ssgan.checkpoint.address import parse_location, step_at, step_of
from ssgan.checkpoint.checkpoints import Checkpoints, State
from ssgan.checkpoint.start import restore, starting_point

__all__ = [
    "Checkpoints",
    "State",
    "parse_location",
    "restore",
    "starting_point",
    "step_at",
    "step_of",
]
