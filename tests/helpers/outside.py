"""Modules outside of the package that add kinds to its unions, and are forgotten afterwards."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ssgan.base.config import OpenUnion


@contextmanager
def module_outside(folder: Path, name: str, text: str, *unions: type[OpenUnion]) -> Iterator[None]:
    """Make a module importable, without importing it; the unions forget its kinds at the end."""
    (folder / f"{name}.py").write_text(text)
    known = {union: union.members() for union in unions}
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        sys.modules.pop(name, None)
        for union, members in known.items():
            for kind in union.members().keys() - members.keys():
                del union._union_members[kind]
