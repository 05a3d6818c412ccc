"""MLflow as a projection of run directories: idempotent, restartable, and never in the way."""

from ssgan.tracking.live_sync import RunSync, SearchSync
from ssgan.tracking.recorder import Recorder, SyncResult, sync_all
from ssgan.tracking.registry import Champion, register, register_champion
from ssgan.tracking.search import SearchRecorder, SearchSyncResult, sync_search
from ssgan.tracking.store import Unreachable, check, default_uri, prepare_store, ui_command

__all__ = [
    "Champion",
    "Recorder",
    "RunSync",
    "SearchRecorder",
    "SearchSync",
    "SearchSyncResult",
    "SyncResult",
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
