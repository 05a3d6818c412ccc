"""The model card as MLflow shows it: of a run, of a registered model and of its version."""

from urllib.parse import urlencode

from ssgan.base.errors import BadInput, CorruptFile
from ssgan.export.card import read_card
from ssgan.export.card_text import to_markdown
from ssgan.records.rundir import RunDir

_LONGEST = 5000  # characters, MLflow's limit for descriptions


def model_card(run: RunDir, mlflow_run_id: str, model: str | None = None) -> str | None:
    """Describe the generator that a run has exported, in Markdown.

    Its pictures are artifacts of the run in MLflow, as far as the export has them: an address
    beside the page's own, so that it holds behind any server's name.

    Args:
        run: The run directory.
        mlflow_run_id: The run's id in MLflow.
        model: The registered version that the card is for, ``NAME/VERSION``.

    Returns:
        At most 5000 characters; None where the run is not over, or has no export that is whole.
    """

    def link(file: str) -> str | None:
        path = f"export/{file}"
        query = urlencode({"path": path, "run_uuid": mlflow_run_id}, safe="/")
        return f"get-artifact?{query}" if run.exists(path) else None

    if run.summary() is None:
        return None
    try:
        card = read_card(run)
    except (BadInput, CorruptFile):
        return None
    return card and to_markdown(card, link=link, model=model, longest=_LONGEST)
