"""Leases of processes on other machines."""

import json
import uuid

from ssgan.base.storage import Folder


def write_foreign_lease(folder: Folder, state: str = "holds") -> str:
    """Write a lease on a folder as a process on another machine would, and return its name."""
    name = f"lease-{uuid.uuid4().hex}.json"
    holder = {
        "host": "elsewhere",
        "process": 4711,
        "machine": "elsewhere 1 pid:[1]",
        "started": 1.7e9,
        "since": "2026-01-01T00:00:00+00:00",
        "folder": "1:1",
        "state": state,
    }
    folder.write_bytes(name, json.dumps(holder).encode())
    return name
