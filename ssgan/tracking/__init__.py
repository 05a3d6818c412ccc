"""MLflow as a projection of run directories: idempotent, restartable, and never in the way."""

from ssgan.tracking.follower import Follower
from ssgan.tracking.recorder import Recorder, SyncReport, sync_all
from ssgan.tracking.registry import register
from ssgan.tracking.store import Unreachable, check, default_uri, prepare_store, ui_command

__all__ = [
    "Follower",
    "Recorder",
    "SyncReport",
    "Unreachable",
    "check",
    "default_uri",
    "prepare_store",
    "register",
    "sync_all",
    "ui_command",
]
