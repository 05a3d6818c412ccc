"""The recipes of docs/extending.md: their modules, and the commands that use them."""

import re
import shlex
from pathlib import Path

_PAGE = (Path(__file__).parents[2] / "docs/extending.md").read_text()

MODULES = dict(re.findall(r"```python\n# (\w+)\.py\n(.*?)```", _PAGE, flags=re.DOTALL))
"""Text of each module by its name."""


def command(module: str) -> list[str]:
    """Return the words of the command that uses a module, without `PYTHONPATH=. ssgan`."""
    lines = re.findall(r"^\$ PYTHONPATH=\. ssgan (.*)$", _PAGE, flags=re.MULTILINE)
    (line,) = (line for line in lines if re.search(rf"kind(: |=){module}\.", line))
    return shlex.split(line)
