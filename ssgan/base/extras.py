"""The extras: `train`, which an export does without, `neighbors` and `onnx`, which few need."""

from collections.abc import Iterable, Sequence
from importlib.util import find_spec

from ssgan.base.errors import BadInput

TRAIN = (
    *("filelock", "jinja2", "markdown_it", "matplotlib", "mlflow", "optuna", "pandas", "psutil"),
    *("pyarrow", "ray", "scipy", "sklearn", "starlette", "torchvision", "uvicorn"),
)
"""What training, searching and recording need: the modules that `train` installs."""
NEIGHBORS = ("faiss",)
"""What finds the neighbors of very many images: the modules that `neighbors` installs."""
ONNX = ("onnx", "onnxruntime", "onnxscript")
"""What writes a generator as ONNX, and checks it: the modules that `onnx` installs."""
PARQUET = ("pyarrow",)
"""What a Parquet file needs of it."""


def check_train_extra(what: str, modules: Sequence[str] | None = None) -> None:
    """Refuse to begin `what` where a module of the extra, or one of `modules`, is not installed.

    Raises:
        BadInput: With the command that installs it.
    """
    if missing := find_missing(TRAIN if modules is None else modules):
        raise BadInput(
            f"{what} needs {missing}, which is not installed; install the whole system: "
            "pip install 'ssgan[train]'"
        )


def find_missing(modules: Iterable[str]) -> str | None:
    """Return the first of some modules that is not installed."""
    for name in modules:
        try:
            is_there = find_spec(name) is not None
        except (ImportError, ValueError):
            is_there = False
        if not is_there:
            return name
    return None
