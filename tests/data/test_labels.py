import itertools
import math
from collections import Counter
from dataclasses import replace

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from ssgan.base.errors import BadInput, CorruptFile
from ssgan.data.labels import Amount, LabelBudget, count_labels, draw_budget
from ssgan.method.codes import Code

unhurried = settings(deadline=None, max_examples=50)  # no timed assertions

SHAPE = Code(name="shape", kind="categorical", classes=("a", "b", "c"))
COLOR = Code(name="color", kind="categorical", classes=("red", "blue"))
ANGLE = Code(name="angle", kind="continuous")
CODES = (SHAPE, COLOR, ANGLE)


def table(n: int, seed: int = 0, unknown: float = 0.3) -> Tensor:
    """Draw labels, some of whose cells are not known."""
    draw = torch.Generator().manual_seed(seed)
    y = torch.stack(
        [
            torch.randint(3, (n,), generator=draw).float(),
            torch.randint(2, (n,), generator=draw).float(),
            torch.rand(n, generator=draw) * 2 - 1,
        ],
        dim=1,
    )
    y[torch.rand(n, 3, generator=draw) < unknown] = math.nan
    return y


def draw(
    y: Tensor,
    amount: Amount,
    codes: tuple[Code, ...] = CODES,
    seed: int = 0,
    balanced: bool = True,
    held_out: float = 0.0,
) -> LabelBudget:
    return draw_budget(
        codes, y, amount, seed=seed, balanced=balanced, held_out=held_out, data_hash="d" * 64
    )


@unhurried
@given(
    n=st.integers(30, 120),
    share=st.floats(0.1, 1),
    seed=st.integers(0, 99),
    balanced=st.booleans(),
    held_out=st.floats(0, 0.9),
)
def test_a_budget_has_its_size_and_holds_labeled_images_once(
    n: int, share: float, seed: int, balanced: bool, held_out: float
) -> None:
    y = table(n, seed)
    labeled = (~y.isnan()).any(1)
    count = max(3, int(share * int(labeled.sum())))
    budget = draw(y, count, seed=seed, balanced=balanced, held_out=held_out)
    members = torch.cat([budget.train, budget.held_out])
    assert len(budget) == count == len(members.unique())
    assert labeled[members].all()
    assert len(budget.train) > 0
    assert len(budget.held_out) <= round(count * held_out)
    for part in (budget.train, budget.held_out):
        assert part.dtype == torch.int64
        assert torch.equal(part, part.sort().values)
    again = draw(y, count, seed=seed, balanced=balanced, held_out=held_out)
    assert again.hash == budget.hash


@unhurried
@given(sizes=st.lists(st.integers(0, 40), min_size=3, max_size=3), data=st.data())
def test_a_balanced_budget_is_as_even_as_the_set_allows(
    sizes: list[int], data: st.DataObject
) -> None:
    assume(sum(sizes) >= 3)
    count = data.draw(st.integers(3, sum(sizes)))
    y = torch.tensor([float(k) for k, size in enumerate(sizes) for _ in range(size)])[:, None]
    counts = list(draw(y, count, (SHAPE,)).counts["shape"].values())
    assert sum(counts) == count
    # A class is behind another by more than one image only when the set has no more of it.
    for one, other in itertools.permutations(range(3), 2):
        assert counts[one] >= counts[other] - 1 or counts[one] == sizes[one]


def test_combinations_are_balanced() -> None:
    # 200 images, of which the rarest combination has three.
    rows = [(0.0, 0.0)] * 100 + [(1.0, 0.0)] * 60 + [(2.0, 1.0)] * 37 + [(0.0, 1.0)] * 3
    y = torch.tensor(rows)
    budget = draw(y, 43, (SHAPE, COLOR))
    found = Counter(map(tuple, y[budget.train].tolist()))
    assert found[0.0, 1.0] == 3
    assert sorted(found.values()) == [3, 13, 13, 14]


def test_a_random_budget_follows_the_set() -> None:
    y = torch.tensor([0.0] * 900 + [1.0] * 100)[:, None]
    counts = draw(y, 200, (SHAPE,), balanced=False).counts["shape"]
    assert 8 <= counts["b"] <= 36  # hypergeometric: 20 ± 4 standard deviations
    assert counts == {"a": 200 - counts["b"], "b": counts["b"], "c": 0}


@unhurried
@given(
    sizes=st.lists(st.integers(1, 60), min_size=3, max_size=3),
    held_out=st.floats(0.01, 0.9),
    seed=st.integers(0, 9),
)
def test_no_class_is_lost_to_the_held_out_images(
    sizes: list[int], held_out: float, seed: int
) -> None:
    y = torch.tensor([float(k) for k, size in enumerate(sizes) for _ in range(size)])[:, None]
    budget = draw(y, "100%", (SHAPE,), seed=seed, held_out=held_out)
    left = y[budget.train, 0].long().bincount(minlength=3)
    apart = y[budget.held_out, 0].long().bincount(minlength=3)
    assert left.min() >= 1
    spare = sum(sizes) - 3
    assert apart.sum() == min(round(sum(sizes) * held_out), spare)
    for k, size in enumerate(sizes):  # every class gives its share
        assert abs(apart[k].item() - apart.sum().item() * (size - 1) / max(spare, 1)) <= 1


def test_held_out_images_are_another_draw_than_the_first_of_each_class() -> None:
    y = torch.arange(300.0)[:, None] % 3
    budget = draw(y, "100%", (SHAPE,), held_out=0.2)
    assert not torch.equal(budget.held_out, torch.arange(60))
    assert budget.held_out.max() > 200


def test_another_seed_is_another_budget() -> None:
    y = table(100, unknown=0.0)
    hashes = {draw(y, 30, seed=seed).hash for seed in range(10)}
    assert len(hashes) == 10


def test_the_hash_covers_images_parts_and_data() -> None:
    budget = draw(table(100), 30, held_out=0.2)
    other_images = replace(budget, train=budget.train.roll(1))
    other_parts = replace(
        budget, train=torch.cat([budget.train, budget.held_out]), held_out=budget.held_out[:0]
    )
    other_data = replace(budget, data_hash="e" * 64)
    hashes = {b.hash for b in (budget, other_images, other_parts, other_data)}
    assert len(hashes) == 4
    assert replace(budget, amount="30%", seed=5).hash == budget.hash


def test_the_hash_of_published_budgets_never_changes() -> None:
    budget = draw(torch.arange(100.0)[:, None] % 3, 12, (SHAPE,))
    assert budget.train.tolist() == [7, 14, 33, 42, 56, 64, 66, 67, 77, 87, 92, 97]
    assert budget.hash[:16] == "66847e53d1c10b39"


def test_the_mask_hides_all_but_the_training_part() -> None:
    y = table(100)
    budget = draw(y, 30, held_out=0.3)
    masked = budget.mask(y)
    assert masked[budget.train].equal(y[budget.train]) or torch.allclose(
        masked[budget.train], y[budget.train], equal_nan=True
    )
    hidden = torch.ones(100, dtype=torch.bool)
    hidden[budget.train] = False
    assert masked[hidden].isnan().all()
    assert (~masked.isnan()).any(1).sum() == len(budget.train)


def test_counts_say_what_is_known() -> None:
    y = torch.tensor([[0.0, 1.0, 0.5], [0.0, math.nan, math.nan], [2.0, 0.0, math.nan]])
    budget = draw(y, "100%")
    assert budget.counts == {
        "shape": {"a": 2, "b": 0, "c": 1},
        "color": {"red": 1, "blue": 1},
        "angle": {"known": 1},
    }


@pytest.mark.parametrize("supervised", [(), (ANGLE,)])
def test_sets_without_classes_have_nothing_to_balance(supervised: tuple[Code, ...]) -> None:
    y = table(50, unknown=0.0)[:, 2:] if supervised else torch.empty(50, 0)
    budget = draw(y, "100%", supervised, held_out=0.2)
    assert len(budget) == 50 * len(supervised)
    assert len(budget.held_out) == 10 * len(supervised)


@unhurried
@given(
    amount=st.sampled_from([0, 12, "30%", 0.5, "100%"]),
    balanced=st.booleans(),
    held_out=st.sampled_from([0.0, 0.25]),
)
def test_a_budget_survives_parquet(amount: Amount, balanced: bool, held_out: float) -> None:
    budget = draw(table(60), amount, balanced=balanced, held_out=held_out)
    again = LabelBudget.from_parquet(budget.to_parquet())
    assert again.hash == budget.hash
    for field in ("amount", "seed", "balanced", "counts", "data_hash"):
        assert getattr(again, field) == getattr(budget, field)
    assert torch.equal(again.train, budget.train)
    assert torch.equal(again.held_out, budget.held_out)


def test_every_flipped_byte_is_noticed_or_harmless() -> None:
    budget = draw(table(60), 20, held_out=0.25)
    data = budget.to_parquet()
    noticed = 0
    for position in range(0, len(data), 7):
        damaged = bytearray(data)
        damaged[position] ^= 4
        try:
            again = LabelBudget.from_parquet(bytes(damaged))
        except CorruptFile as error:
            assert "labels.parquet" in str(error)  # noqa: PT017
            noticed += 1
        else:
            assert (again.hash, again.counts) == (budget.hash, budget.counts)
            assert (again.amount, again.seed) == (budget.amount, budget.seed)
    assert noticed > 50


@pytest.mark.parametrize("data", [b"", b"PAR1", b"no parquet at all"])
def test_what_is_no_budget_is_refused(data: bytes) -> None:
    with pytest.raises(CorruptFile, match=r"labels\.parquet.*new run"):
        LabelBudget.from_parquet(data)


@pytest.mark.parametrize(
    ("amount", "count"),
    [
        (0, 0),
        (132, 132),
        (1, 1),
        (60_000, 60_000),
        (0.0022, 132),
        (0.0, 0),
        (1.0, 60_000),
        ("10%", 6000),
        (" 0.22 % ", 132),
        ("100%", 60_000),
        ("0%", 0),
        ("33.%", 19_800),
    ],
)
def test_every_spelling_of_an_amount(amount: Amount, count: int) -> None:
    assert count_labels(amount, 60_000) == count


@pytest.mark.parametrize(
    ("amount", "problem"),
    [
        (60_001, "more labels than the 60000 images"),
        (-1, "not a label budget"),
        (-0.5, "not a label budget"),
        (math.nan, "not a label budget"),
        ("many", "not a label budget"),
        ("132", "not a label budget"),
        ("-5%", "not a label budget"),
        ("10 per cent", "not a label budget"),
        ("", "not a label budget"),
        (1.5, "at most 1"),
        (math.inf, "at most 1"),
        ("150%", "150% is more than all"),
        (1e-6, "not even one"),
        ("0.0001%", "not even one"),
    ],
)
def test_bad_amounts_are_refused(amount: Amount, problem: str) -> None:
    with pytest.raises(BadInput, match=rf"data\.labels=.*{problem}"):
        count_labels(amount, 60_000)


def test_a_balanced_budget_has_one_image_a_class() -> None:
    y = table(60, unknown=0.0)
    with pytest.raises(BadInput, match=r"data\.labels=2 .*3 classes.*data\.balanced=false"):
        draw(y, 2)
    assert len(draw(y, 2, balanced=False)) == 2
    assert len(draw(y, 0)) == 0
    assert len(draw(y, 3)) == 3


def test_an_unlabeled_set_has_no_budget_to_give() -> None:
    nothing = torch.full((20, 3), math.nan)
    assert len(draw(nothing, "100%")) == 0
    with pytest.raises(BadInput, match="the 0 images"):
        draw(nothing, 5)


def test_images_of_no_class_are_one_more_class_of_the_budget() -> None:
    y = table(300, unknown=0.0)[:, :1]
    y[100:160] = SHAPE.none
    y[160:] = math.nan
    budget = draw(y, 20, (SHAPE,), held_out=0.4)
    assert budget.counts == {"shape": {"a": 5, "b": 5, "c": 5, "none of these": 5}}
    assert budget.train.max() < 160
    assert (y[budget.held_out] == SHAPE.none).sum() == 2
    with pytest.raises(BadInput, match=r"each of the 4 classes"):
        draw(y, 3, (SHAPE,))
    unbalanced = draw(y, 100, (SHAPE,), balanced=False).counts["shape"]
    assert 25 < unbalanced["none of these"] < 50
