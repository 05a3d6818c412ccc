"""What happens in a round, drawn from its seed."""

import random
from dataclasses import dataclass
from typing import Literal

Where = Literal["folder", "s3"]
Tracking = Literal["made", "new", "dead"]
"""A store that is there, one that the first process makes, a server that is down to the end."""
End = Literal["SIGKILL", "SIGTERM", "mv"]
"""A signal; or the directory is moved under the hands of who writes it."""
Rival = Literal["none", "while it stands still", "at the same time"]
"""When a second process comes to write the directory of the first."""
Then = Literal["stay", "move", "copy", "elsewhere", "move all", "copy all"]
"""What becomes of the directory: moved or copied beside itself, into another folder of runs, or
with its whole folder of runs."""

SEARCHES = 0.1  # share of rounds


@dataclass(frozen=True)
class Moment:
    """When a process is ended."""

    by: Literal["imports", "time", "writes"]
    """While it starts, or after it has begun to write: by time, by files and objects written."""
    share: float
    """Of the time, or of the writes, that an undisturbed run takes."""


@dataclass(frozen=True)
class Life:
    """One process that writes the directory, and what is done to it."""

    moment: Moment
    end: End
    rival: Rival
    behind: float
    """Seconds by which a rival starts later."""
    then: Then


@dataclass(frozen=True)
class Plan:
    """A whole round."""

    seed: int
    where: Where
    kind: Literal["train", "search"]
    tracking: Tracking
    lives: tuple[Life, ...]
    delay: float
    """Seconds that each answer of the object store takes longer."""
    refuse_every: int
    """Every so manyth of its requests is refused."""

    @classmethod
    def draw(cls, seed: int, where: Where | None = None) -> "Plan":
        """Draw a round; the place is drawn unless it is given."""
        rng = random.Random(seed)
        drawn: Where = rng.choice(("folder", "folder", "folder", "s3", "s3"))
        where = where or drawn
        is_search = rng.random() < SEARCHES
        # In a bucket nothing moves at once, and trials are processes of their own.
        can_move = where == "folder" and not is_search
        lives = tuple(_draw_life(rng, can_move=can_move) for _ in range(rng.randint(1, 3)))
        tracking: Tracking = rng.choice(("made", "made", "new", "dead"))
        if is_search and tracking == "dead":  # a search refuses it
            tracking = "made"
        return cls(
            seed=seed,
            where=where,
            kind="search" if is_search else "train",
            tracking=tracking,
            lives=lives,
            delay=rng.choice((0.0, 0.02)),
            refuse_every=rng.choice((0, 0, 10)),
        )


def _draw_life(rng: random.Random, *, can_move: bool) -> Life:
    by: Literal["imports", "time", "writes"] = rng.choices(
        ("imports", "time", "writes"), (1, 4, 5)
    )[0]
    thens: tuple[Then, ...] = ("stay", "move", "copy", "elsewhere", "move all", "copy all")
    moment = Moment(by, rng.random())
    ends: tuple[End, ...] = ("SIGKILL", "SIGTERM", "mv" if can_move else "SIGKILL")
    end = rng.choices(ends, (6, 2, 1))[0]
    rivals: tuple[Rival, ...] = ("none", "while it stands still", "at the same time")
    rival = rng.choices(rivals, (3, 2, 2))[0]
    if end == "mv" and rival == "at the same time":  # it might find the place free
        rival = "none"
    then = rng.choices(thens, (4, 3, 2, 2, 1, 1))[0]
    return Life(moment=moment, end=end, rival=rival, behind=rng.random(), then=then)
