"""The errors that a user meets: what was wrong, where, and what to do about it."""


class BadInput(ValueError):
    """Something that the user gave cannot work; raised before any work starts (exit code 2)."""


class CorruptFile(BadInput):
    """A file's content no longer matches the hash that was recorded when it was written."""


class NonFiniteLoss(RuntimeError):
    """A term of the objective became NaN or infinite. No retry can help, so none is made."""


class TrialsFailed(RuntimeError):
    """Some trials of a search failed; all that the others reached is kept (exit code 1)."""


class LeaseLost(RuntimeError):
    """What this process writes is no longer its own, or no longer where it was (exit code 1).

    Another process writes it, because this one stood still for minutes; or it was moved or removed.
    """
