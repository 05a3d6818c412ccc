"""Where prepared stores, decoded images and downloads are kept on this machine."""

import os
from pathlib import Path


def default_cache() -> Path:
    """Return ``$SSGAN_CACHE``, or ``ssgan`` in the user's cache folder (XDG). It may not exist."""
    chosen = os.environ.get("SSGAN_CACHE")
    if chosen:
        return Path(chosen).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "ssgan"
