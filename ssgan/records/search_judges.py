"""The judges C of a search as its directory holds them: ``judges/STAGE/``."""

from ssgan.evaluation.judge import CARD, JudgeCard
from ssgan.records.searchdir import SearchDir, Stage

JUDGE_SEEDS: dict[Stage, int] = {"search": 0, "final": 1}
"""So that a configuration is not crowned by the judge that chose it."""


def judge_file(stage: Stage, name: str) -> str:
    """Return where a file of a stage's judge is, relative to the search directory."""
    return f"judges/{stage}/{name}"


def read_judge(search_dir: SearchDir, stage: Stage) -> dict[str, bytes] | None:
    """Read the files of a stage's judge; None where there is none, or none yet."""
    if not search_dir.exists(judge_file(stage, CARD)):
        return None
    names = search_dir.list(f"judges/{stage}")
    return {name.rpartition("/")[2]: search_dir.read_bytes(name) for name in names}


def read_judge_card(search_dir: SearchDir, stage: Stage) -> JudgeCard | None:
    """Read what is known of a stage's judge; None where there is none."""
    name = judge_file(stage, CARD)
    return JudgeCard.read(search_dir.read_bytes(name)) if search_dir.exists(name) else None
