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
    """This process stood still for minutes, and another one writes its directory now (exit 1)."""
