"""Shares of classes in a set of images, and which class each image of it gets."""

import math
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ssgan.base.config import nearest
from ssgan.base.errors import BadInput
from ssgan.export.format import ExportManifest
from ssgan.method.codes import Code

_TOLERANCE = 1e-6
_PART = re.compile(
    r"(?P<name>.+?)=(?P<share>\s*[-+.\de]+\s*)(?:,|$)"
)  # names may hold = and commas


def parse_shares(text: str, code: Code, manifest: ExportManifest) -> tuple[float, ...]:
    """Read ``estimated``, ``uniform`` or ``CLASS=P,CLASS=P``; what is not named has none.

    Estimated shares are those that the export has of all images of its train split, or else the
    prior of its code, where that is not uniform.

    Returns:
        A share of each class; they sum to 1.

    Raises:
        BadInput: A class is not one of the code, a share is not a number from 0 to 1, they do not
            sum to 1, or nothing was estimated.
    """
    if text == "uniform":
        return (1 / code.size,) * code.size
    if text == "estimated":
        return _normalize(_estimated(code, manifest))
    if "=" not in text:
        raise BadInput(
            f"--share {text} is none of estimated, uniform and CLASS=P,CLASS=P with the classes "
            f"of {code.name}"
        )
    shares = dict.fromkeys(code.classes, 0.0)
    named: set[str] = set()
    end = 0
    while (part := _PART.match(text, end)) is not None:
        end = part.end()
        name, share = part["name"].strip(), part["share"]
        if name not in shares:
            raise BadInput(f"--share: {code.name} has no class {name!r}{nearest(name, shares)}")
        if name in named:
            raise BadInput(f"--share names the class {name!r} twice")
        named.add(name)
        shares[name] = _number(name, share)
    if end != len(text):
        raise BadInput(f"--share: {text[end:]!r} is not CLASS=P; write CLASS=P,CLASS=P")
    if abs((total := math.fsum(shares.values())) - 1) > _TOLERANCE:
        raise BadInput(
            f"--share: the shares sum to {total:.6g}, not to 1; classes not named have 0"
        )
    return _normalize([*shares.values()])


def divide(shares: Sequence[float], first: int, n: int) -> tuple[NDArray[np.int64], ...]:
    """Give classes to the images first, first + 1 ... first + n - 1 of a set of any size.

    The k-th image of a class of share p, k from 0, is due at (k + 1/2) / p, and all images are in
    the order of their due times (Webster's method of apportionment). So the images up to any one
    are divided by the shares but for the rounding, and equal shares make the classes take turns.

    Returns:
        The class of each image, int64 (n,), and how many of its class came before it, int64 (n,).
    """
    # By the time t, t images are due, but for the half of one of each class.
    slack = len(shares) + 1
    classes, turns = [], []
    passed = 0
    for index, share in enumerate(shares):
        start = max(0, math.floor(share * (first - slack) - 0.5))
        end = math.ceil(share * (first + n + slack)) if share else start
        passed += start
        turns.append(np.arange(start, end))
        classes.append(np.full(end - start, index))
    turn, of_class = np.concatenate(turns), np.concatenate(classes)
    due = (turn + 0.5) / np.asarray(shares, dtype=np.float64)[of_class]
    chosen = np.lexsort((of_class, due))[first - passed : first - passed + n]
    return of_class[chosen], turn[chosen]


def _estimated(code: Code, manifest: ExportManifest) -> Sequence[float]:
    if (shares := manifest.shares.get(code.name)) is not None and len(shares) == code.size:
        return shares
    space = manifest.space
    if space.joint is None or code not in space.supervised:
        raise BadInput(
            f"nothing was estimated about the shares of {code.name}: the run spread no labels "
            "(data.spread), and its prior is uniform. Give --share uniform or CLASS=P,..., or, "
            "where it did spread labels, write the export again: ssgan export RUN"
        )
    return space.prior_probabilities(code)


def _normalize(shares: Sequence[float]) -> tuple[float, ...]:
    total = math.fsum(shares)
    return tuple(share / total for share in shares)


def _number(name: str, text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = math.nan
    if not 0 <= share <= 1:
        raise BadInput(f"--share: {name}={text} is not a share; give a number from 0 to 1")
    return share
