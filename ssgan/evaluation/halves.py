"""The halves of the judge split: one for the judge that chooses, one for the judge that reports."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from ssgan.codes import Code

Rows = Literal["whole", "first half", "second half"]
"""Part of the judge split."""


def judge_rows(codes: Sequence[Code], labels: Tensor, rows: Rows) -> Tensor:
    """Pick the rows of the judge split that a judge learns from.

    A half is taken within each combination of classes, by position: so both halves hold all
    classes even where the rows are sorted, and neighbours, often from one photograph, stay
    together.

    Returns:
        Row indices, int64, ascending; the two halves are disjoint and together the whole.
    """
    if rows == "whole":
        return torch.arange(len(labels))
    # Numbers of the combinations, built up code by code; unknown is a class of its own.
    group = torch.zeros(len(labels), dtype=torch.int64)
    for k, code in enumerate(codes):
        if code.is_categorical:
            group = group * (code.size + 1) + labels[:, k].nan_to_num(-1.0).long() + 1
            group = torch.unique(group, return_inverse=True)[1]
    picked = [torch.empty(0, dtype=torch.int64)]
    for members in (torch.nonzero(group == g)[:, 0] for g in group.unique()):
        half = len(members) // 2
        # The odd one alternates with the group's first row, so that neither half collects them.
        half += (len(members) % 2) * (int(members[0]) % 2)
        picked.append(members[:half] if rows == "first half" else members[half:])
    return torch.cat(picked).sort().values
