"""MLflow as a projection of run directories: idempotent, restartable, and never in the way."""

from ssgan.tracking.champion import Champion, register_champion
from ssgan.tracking.live_sync import RunSync, SearchSync
from ssgan.tracking.recorder import Recorder, SyncReport, sync_all
from ssgan.tracking.registry import register
from ssgan.tracking.search import SearchRecorder, SearchReport, sync_search
from ssgan.tracking.store import Unreachable, check, default_uri, prepare_store, ui_command

__all__ = [
    "Champion",
    "Recorder",
    "RunSync",
    "SearchRecorder",
    "SearchReport",
    "SearchSync",
    "SyncReport",
    "Unreachable",
    "check",
    "default_uri",
    "prepare_store",
    "register",
    "register_champion",
    "sync_all",
    "sync_search",
    "ui_command",
]
