import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from ssgan.base.rng import Streams
from ssgan.data import orders
from ssgan.data.batches import Batches, LabelSamplingConfig, RealBatch
from ssgan.data.memmap import Split
from ssgan.method.augment import AugmentConfig, augment, draw_affine
from ssgan.method.schedules import Constant, Linear, Step

unhurried = settings(deadline=None, max_examples=40)  # no timed assertions

UNITS = ("batch", "example", "separate")


def labels(n: int, labeled: int) -> Tensor:
    """Label the last images, each with its own number and, every other one, a second cell."""
    y = torch.full((n, 2), math.nan)
    for row in range(n - labeled, n):
        y[row, 0] = row
        if row % 2:
            y[row, 1] = -row
    return y


def make(
    n: int = 40,
    labeled: int = 10,
    batch_size: int = 8,
    seed: int = 0,
    weighted: bool = False,
    **options: Any,
) -> Batches:
    """Draw from images whose pixels are their own numbers."""
    own = ("rank", "world_size", "foreign")
    config = {key: options.pop(key) for key in list(options) if key not in own}
    images = torch.arange(n, dtype=torch.uint8)[:, None, None, None].expand(n, 1, 8, 8)
    y = labels(n, labeled)
    return Batches(
        LabelSamplingConfig(**{"batch_size": 4} | config),
        Split(images, y).take,
        y,
        batch_size=batch_size,
        streams=Streams(seed),
        weights=y / 10 if weighted else None,
        **options,
    )


def numbers(x: Tensor) -> list[int]:
    """Read the images' numbers back from their pixels."""
    return (x[:, 0, 0, 0] * 255).round().long().tolist()


def same(one: RealBatch, other: RealBatch) -> bool:
    ours, theirs = ([b.x, b.y, *(b.labeled or ())] for b in (one, other))
    return len(ours) == len(theirs) and all(
        torch.equal(a.nan_to_num(-9), b.nan_to_num(-9)) for a, b in zip(ours, theirs, strict=True)
    )


def test_pixels_are_scaled_to_one() -> None:
    batch = make(n=256, batch_size=256, unit="separate").draw(0, 0.0)
    assert batch.x.dtype == torch.float32
    assert batch.x.shape == (256, 1, 8, 8)
    assert batch.x.min() == 0
    assert batch.x.max() == 1
    assert sorted(numbers(batch.x)) == list(range(256))


@unhurried
@given(
    unit=st.sampled_from(UNITS),
    steps=st.lists(st.integers(0, 500), min_size=1, max_size=5),
    probability=st.floats(0, 1),
    seed=st.integers(0, 9),
)
def test_a_batch_is_a_pure_function_of_seed_and_step(
    unit: str, steps: list[int], probability: float, seed: int
) -> None:
    once, again = make(seed=seed, unit=unit), make(seed=seed, unit=unit)
    drawn = {step: once.draw(step, probability) for step in steps}
    for step in reversed(steps):
        assert same(drawn[step], again.draw(step, probability))
    other = make(seed=seed + 1, unit=unit)
    assert not same(other.draw(0, probability), once.draw(0, probability))


@unhurried
@given(
    unit=st.sampled_from(UNITS),
    step=st.integers(0, 300),
    probability=st.floats(0, 1),
    labeled=st.sampled_from([0, 3, 10, 40]),
    world_size=st.sampled_from([2, 4]),
)
def test_slices_of_all_ranks_are_the_batch_of_one(
    unit: str, step: int, probability: float, labeled: int, world_size: int
) -> None:
    extra: dict[str, Any] = {"augment": AugmentConfig()} if unit == "separate" else {}
    probability = probability if labeled else 0.0
    whole = make(labeled=labeled, unit=unit, **extra).draw(step, probability)
    ranks = [
        make(labeled=labeled, unit=unit, rank=r, world_size=world_size, **extra)
        for r in range(world_size)
    ]
    parts = [rank.draw(step, probability) for rank in ranks]
    assert all(len(part.x) == 8 // world_size for part in parts)
    assert len({part.labeled is None for part in parts}) == 1  # one coin for all ranks
    pairs = None
    if whole.labeled is not None:
        pairs = tuple(torch.cat(t) for t in zip(*(p.labeled or () for p in parts), strict=True))
    x, y = (torch.cat([part[k] for part in parts]) for k in (0, 1))
    assert same(whole, RealBatch(x, y, pairs))  # type: ignore[arg-type]
    assert all(torch.equal(rank.seen, ranks[0].seen) for rank in ranks)


@pytest.mark.parametrize("unit", UNITS)
def test_a_batch_carries_the_labels_of_its_images(unit: str) -> None:
    batches, y = make(unit=unit), labels(40, 10)
    for step in range(20):
        batch = batches.draw(step, 0.5)
        x, given_y = (batch.x, batch.y) if unit != "separate" else batch.labeled or (None, None)
        if x is None or given_y is None:
            continue
        expected = y[numbers(x)]
        assert torch.equal(given_y.nan_to_num(-99), expected.nan_to_num(-99))


@pytest.mark.parametrize("unit", UNITS)
def test_weights_come_with_their_labels(unit: str) -> None:
    batches = make(unit=unit, weighted=True)
    for step in range(20):
        batch = batches.draw(step, 0.5)
        y = batch.y if unit != "separate" else batch.labeled and batch.labeled[1]
        if y is None:
            assert batch.weights is None
        else:
            assert batch.weights is not None
            assert torch.equal(batch.weights.nan_to_num(-9), (y / 10).nan_to_num(-9))
    assert make(unit=unit).draw(0, 1.0).weights is None


def known(batch: RealBatch) -> list[bool]:
    return (~batch.y.isnan()).any(1).tolist()


@pytest.mark.parametrize("unit", ["batch", "example"])
def test_certain_draws(unit: str) -> None:
    batches = make(unit=unit)
    for step in range(30):
        assert all(known(batches.draw(step, 1.0)))
        assert not any(known(batches.draw(step, 0.0)))


def test_unit_batch_has_one_coin_a_batch() -> None:
    batches = make(unit="batch")
    coins = [known(batches.draw(step, 0.4)) for step in range(300)]
    assert all(len(set(batch)) == 1 for batch in coins)
    assert 0.28 < sum(batch[0] for batch in coins) / 300 < 0.52


def test_unit_example_has_one_coin_an_image() -> None:
    batches = make(unit="example")
    coins = [known(batches.draw(step, 0.4)) for step in range(200)]
    assert any(len(set(batch)) == 2 for batch in coins)
    assert 0.35 < sum(map(sum, coins)) / 1600 < 0.45
    assert all(len(batch) == 8 for batch in coins)


def test_unit_separate_never_changes_the_task_of_D() -> None:
    batches = make(unit="separate")
    for step in range(50):
        always, never = batches.draw(step, 1.0), batches.draw(step, 0.0)
        assert torch.equal(always.x, never.x)
        assert always.y.isnan().all()
        assert never.y.isnan().all()
        assert never.labeled is None
        assert always.labeled is not None
        assert always.labeled[0].shape == (4, 1, 8, 8)
        assert (~always.labeled[1].isnan()).any(1).all()


@pytest.mark.parametrize(
    ("unit", "probability", "pool"),
    [
        ("separate", 0.0, range(40)),
        ("batch", 0.0, range(30)),
        ("batch", 1.0, range(30, 40)),
        ("example", 0.0, range(30)),
        ("example", 1.0, range(30, 40)),
    ],
)
@pytest.mark.parametrize("batch_size", [8, 6])
def test_every_image_comes_once_a_cycle(
    unit: str, probability: float, pool: range, batch_size: int
) -> None:
    batches = make(unit=unit, batch_size=batch_size)
    steps = math.lcm(len(pool), batch_size) // batch_size
    walked = [
        number for step in range(2 * steps) for number in numbers(batches.draw(step, probability).x)
    ]
    cycles = [walked[k : k + len(pool)] for k in range(0, len(walked), len(pool))]
    assert all(sorted(cycle) == list(pool) for cycle in cycles)
    assert all(one != cycles[0] for one in cycles[1:])  # each is shuffled again


@given(
    size=st.integers(1, 60),
    step=st.integers(0, 400),
    count=st.integers(1, 90),
    seed=st.integers(0, 3),
)
def test_a_walk_is_a_slice_of_joined_cycles(size: int, step: int, count: int, seed: int) -> None:
    batches, streams = make(n=size, labeled=0, seed=seed), Streams(seed)
    cycles = range(step * count // size, (step * count + count - 1) // size + 1)
    generators = [streams.generator("pool/all", cycle) for cycle in cycles]
    joined = torch.cat([torch.randperm(size, generator=generator) for generator in generators])
    expected = joined[step * count - cycles[0] * size :][:count]
    assert torch.equal(batches._walk("all", size, step * count, count), expected)


def test_beyond_the_largest_table_every_image_comes_once_a_cycle(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(orders, "TABLE_ROWS", 39)
    # A seed of its own, since orders are cached by seed.
    ranks = [make(seed=77, unit="separate", rank=rank, world_size=2) for rank in range(2)]
    walked = [
        number for step in range(10) for one in ranks for number in numbers(one.draw(step, 0).x)
    ]
    assert sorted(walked[:40]) == sorted(walked[40:]) == list(range(40))
    assert walked[:40] != walked[40:]
    table = torch.randperm(40, generator=Streams(77).generator("pool/all", 0))
    assert walked[:40] != table.tolist()


@pytest.mark.parametrize("unit", UNITS)
def test_every_label_is_seen_within_a_cycle(unit: str) -> None:
    batches = make(unit=unit)
    for step in range(20):
        batches.draw(step, 0.0)
    assert not batches.seen.any()
    size = 4 if unit == "separate" else 8
    counts = []
    for step in range(math.ceil(10 / size)):
        batches.draw(step, 1.0)
        counts.append(int(batches.seen.sum()))
    assert counts[-1] == 10
    assert counts[0] == min(size, 10)


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("labeled", [1, 3])
def test_a_pool_may_be_smaller_than_the_batch(unit: str, labeled: int) -> None:
    batches = make(labeled=labeled, unit=unit)
    for step in range(10):
        batch = batches.draw(step, 1.0)
        found = numbers(batch.x if batch.labeled is None else batch.labeled[0])
        counts = [found.count(number) for number in range(40 - labeled, 40)]
        assert sum(counts) == len(found)
        assert max(counts) - min(counts) <= 2  # parts of cycles at both ends


@pytest.mark.parametrize("unit", UNITS)
def test_without_labels(unit: str) -> None:
    batches = make(labeled=0, unit=unit)
    assert batches.share == 0
    assert batches.probability(0, 100) == 0
    for step in range(10):
        batch = batches.draw(step, batches.probability(0, 100))
        assert len(batch.x) == 8
        assert batch.y.isnan().all()
        assert batch.labeled is None
    assert len(batches.seen) == 0


@pytest.mark.parametrize("unit", UNITS)
def test_with_all_labels(unit: str) -> None:
    batches = make(labeled=40, unit=unit)
    assert batches.share == 1
    assert batches.probability(10**9, 100) == 1
    for step in range(10):
        batch = batches.draw(step, 1.0)
        assert unit == "separate" or all(known(batch))
    assert batches.seen.all()


def test_without_supervised_codes() -> None:
    images = torch.zeros(20, 1, 8, 8, dtype=torch.uint8)
    y, config = torch.empty(20, 0), LabelSamplingConfig()
    batches = Batches(config, Split(images, y).take, y, batch_size=4, streams=Streams(0))
    batch = batches.draw(0, batches.probability(0, 100))
    assert batch.y.shape == (4, 0)
    assert batch.labeled is None


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("labeled", [4, 25, 40])
def test_other_labels_are_drawn_as_if_they_had_always_been_there(unit: str, labeled: int) -> None:
    relabeled, always = make(unit=unit), make(labeled=labeled, unit=unit)
    for step in range(5):
        relabeled.draw(step, 0.7)
    before = relabeled.seen
    relabeled.relabel(labels(40, labeled))
    kept = min(labeled, 10)  # images that are labeled before and after, the last ones
    assert torch.equal(relabeled.seen[-kept:], before[-kept:])
    assert not relabeled.seen[:-kept].any()
    for step in range(5, 15):
        assert same(relabeled.draw(step, 0.7), always.draw(step, 0.7))
    assert relabeled.share == labeled / 40


@pytest.mark.parametrize("unit", UNITS)
def test_foreign_images_stay_foreign_under_other_labels(unit: str) -> None:
    foreign = torch.zeros(40, dtype=torch.bool)
    foreign[[0, 17, 33, 38]] = True
    relabeled = make(unit=unit, foreign=foreign)
    always = make(labeled=25, unit=unit, foreign=foreign)
    relabeled.draw(0, 0.7)
    relabeled.relabel(labels(40, 25))
    assert len(relabeled.seen) == len(always.seen) == (25 if unit == "separate" else 22)
    for step in range(1, 10):
        assert same(relabeled.draw(step, 0.7), always.draw(step, 0.7))


@unhurried
@given(images_seen=st.integers(0, 10**6), floor=st.sampled_from(["share", 0.0, 0.1, 0.6, 1.0]))
def test_the_probability_has_a_floor(images_seen: int, floor: float | str) -> None:
    schedule = Linear(start=1.0, floor=0.0, duration=10, unit="epochs")
    batches = make(probability=schedule, floor=floor)
    lowest = 0.25 if floor == "share" else max(0.25, float(floor))
    expected = max(lowest, schedule.at(images_seen, 800))
    assert batches.probability(images_seen, 800) == pytest.approx(expected)
    assert make(probability=Constant(value=7.0)).probability(0, 100) == 1


def test_the_authors_schedule() -> None:
    stair = Step(start=1.0, drop=0.1, floor=0.0, duration=1, unit="epochs")
    batches = make(n=200, labeled=1, probability=stair)
    values = [batches.probability(12800 * epoch, 12800) for epoch in range(12)]
    assert values == pytest.approx([1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.005, 0.005])


def test_only_the_images_of_q_ss_are_augmented() -> None:
    images = torch.randint(256, (40, 1, 8, 8), generator=torch.Generator().manual_seed(0))
    y = labels(40, 10)
    split = Split(images.to(torch.uint8), y)
    ranges = AugmentConfig()
    plain, changed = (
        Batches(
            LabelSamplingConfig(batch_size=4, augment=config),
            split.take,
            y,
            batch_size=8,
            streams=Streams(0),
        ).draw(3, 1.0)
        for config in (None, ranges)
    )
    assert torch.equal(plain.x, changed.x)
    assert plain.labeled is not None
    assert changed.labeled is not None
    assert torch.equal(plain.labeled[1].nan_to_num(), changed.labeled[1].nan_to_num())
    drawn = draw_affine(4, Streams(0).generator("augment", 3))
    torch.testing.assert_close(changed.labeled[0], augment(ranges, plain.labeled[0], drawn))


@pytest.mark.parametrize(
    "fields",
    [
        {"floor": -0.1},
        {"floor": 1.1},
        {"floor": "shares"},
        {"batch_size": 1},
        {"unit": "epoch"},
        {"augment": {"rotation": -1}},
    ],
)
def test_bad_settings_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(fields))):
        LabelSamplingConfig(**fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("unit", UNITS)
def test_d_never_gets_a_foreign_image_and_all_others_alike(unit: str) -> None:
    foreign = torch.zeros(40, dtype=torch.bool)
    foreign[[0, 7, 33, 38]] = True  # the last two have labels, which Q_ss may learn from apart
    batches = make(unit=unit, foreign=foreign)
    drawn = [batches.draw(step, 0.5) for step in range(45)]
    of_d = torch.tensor([number for batch in drawn for number in numbers(batch.x)])
    counts = of_d.bincount(minlength=40)
    assert not counts[foreign].any()
    if unit == "separate":
        assert counts[~foreign].eq(10).all()
        of_q = {number for batch in drawn if batch.labeled for number in numbers(batch.labeled[0])}
        assert of_q == set(range(30, 40))
    else:
        assert counts[~foreign].all()
    ranks = [make(unit=unit, foreign=foreign, rank=rank, world_size=2) for rank in range(2)]
    parts = [rank.draw(3, 0.5).x for rank in ranks]
    assert torch.equal(torch.cat(parts), drawn[3].x)
