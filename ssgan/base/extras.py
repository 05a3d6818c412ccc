"""The extra `train`: what training, searching and recording need, and an export does without."""

from importlib.util import find_spec

from ssgan.base.errors import BadInput

TRAIN = (
    *("filelock", "jinja2", "markdown_it", "matplotlib", "mlflow", "optuna", "pandas", "psutil"),
    *("pyarrow", "ray", "scipy", "sklearn", "starlette", "torchvision", "uvicorn"),
)
"""The modules that it installs."""


def check_train_extra(what: str) -> None:
    """Refuse to begin `what` where a module of the extra is not installed.

    Raises:
        BadInput: With the command that installs it.
    """
    for name in TRAIN:
        try:
            is_there = find_spec(name) is not None
        except (ImportError, ValueError):
            is_there = False
        if not is_there:
            raise BadInput(
                f"{what} needs {name}, which is not installed; install the whole system: "
                "pip install 'ssgan[train]'"
            )
