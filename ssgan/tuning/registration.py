"""The winner of a search as a version of a registered model, the champion if it is the best."""

import logging
from typing import Any

from ssgan.launch.preparation import read_budget
from ssgan.records.searchdir import SearchDir, TrialRow
from ssgan.tracking import register_champion
from ssgan.tuning.preparation import read_judge_card
from ssgan.tuning.search import Search

_log = logging.getLogger(__name__)


def register_winner(
    search: Search, directory: SearchDir, winner: TrialRow, uri: str
) -> dict[str, Any]:
    """Register the winner's export.

    Args:
        search: The search.
        directory: Its directory.
        winner: The run whose export it is.
        uri: MLflow tracking and registry URI.

    Returns:
        ``model``, ``model_version``, ``champion`` and ``champion_reason`` for summary.json; empty
        where MLflow does not answer, because the search is whole without it.
    """
    run = directory.run(winner)
    name = search.base.tracking.register_as or f"ssgan-{search.base.name}"
    assert winner.metric is not None
    try:
        with run.local_copy("export") as folder:
            champion = register_champion(
                uri,
                folder,
                name,
                run,
                metric=(search.metric, winner.metric),
                identity=_identity(directory, winner),
                mode=search.mode,
                experiment=directory.info.name,
            )
    except Exception as error:  # whatever MLflow says, nothing else is lost
        _log.warning("the winner could not be registered as %s: %s", name, error)
        return {}
    _log.info("registered as %s, version %d: %s", name, champion.version, champion.reason)
    return {
        "model": name,
        "model_version": champion.version,
        "champion": champion.is_champion,
        "champion_reason": champion.reason,
    }


def _identity(directory: SearchDir, winner: TrialRow) -> dict[str, str]:
    """Return the hashes that two versions must share to be compared."""
    budget = read_budget(directory.run(winner))
    judge = read_judge_card(directory, winner.stage)
    return {
        "data": budget.data_hash if budget else "none",
        "labels": budget.hash if budget else "none",
        "judge": judge.hash if judge else "none",
    }
