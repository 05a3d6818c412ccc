import itertools
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from ssgan.base.errors import BadInput
from ssgan.experiment.loading import load_experiment
from ssgan.experiment.tree import Experiment
from ssgan.method.schedules import Constant, Cosine, Exponential, Linear, Schedule, Step, WarmUp
from ssgan.tuning import load_search
from tests.helpers.outside import module_outside

unhurried = settings(deadline=None, max_examples=50)  # no timed assertions

ANNEALED = (Step, Linear, Cosine, Exponential)
adapter: TypeAdapter[Schedule] = TypeAdapter(Schedule)


@st.composite
def annealed(draw: st.DrawFn) -> Schedule:
    start, floor = sorted(draw(st.tuples(st.floats(0, 5), st.floats(0, 5))), reverse=True)
    fields = {
        "start": start,
        "floor": floor,
        "delay": draw(st.floats(0, 1e6)),
        "duration": draw(st.floats(0.01, 1e6)),
        "unit": draw(st.sampled_from(["images", "epochs"])),
    }
    kind = draw(st.sampled_from(ANNEALED))
    if kind is Step:
        fields["drop"] = draw(st.floats(0.001, 2))
    return kind(**fields)


@unhurried
@given(annealed(), st.lists(st.integers(0, 10**9), min_size=2), st.integers(1, 10**6))
def test_schedules_fall_from_start_to_floor(
    schedule: Schedule, images: list[int], images_per_epoch: int
) -> None:
    assert not isinstance(schedule, Constant)
    assert schedule.at(0, images_per_epoch) == pytest.approx(schedule.start)
    values = [schedule.at(seen, images_per_epoch) for seen in sorted(images)]
    tolerance = 1e-12 * max(1.0, schedule.start)
    for value in values:
        assert schedule.floor - tolerance <= value <= schedule.start + tolerance
    for before, after in itertools.pairwise(values):
        assert after <= before + tolerance


@unhurried
@given(annealed(), st.integers(0, 10**9), st.integers(1, 10**6))
def test_schedules_are_pure_functions_and_survive_yaml_trees(
    schedule: Schedule, seen: int, images_per_epoch: int
) -> None:
    again = adapter.validate_python(schedule.model_dump(mode="json"))
    assert again == schedule
    first = schedule.at(seen, images_per_epoch)
    schedule.at(seen + 1, images_per_epoch)
    assert schedule.at(seen, images_per_epoch) == first == again.at(seen, images_per_epoch)


@unhurried
@given(annealed(), st.integers(0, 10**7), st.integers(1, 10**4))
def test_epochs_are_images_over_images_per_epoch(
    schedule: Schedule, seen: int, images_per_epoch: int
) -> None:
    assert not isinstance(schedule, Constant)
    if isinstance(schedule, Step):
        return  # a stair's edge may fall one image apart, see the authors' stair below
    epochs = schedule.model_copy(update={"unit": "epochs"})
    images = schedule.model_copy(
        update={
            "unit": "images",
            "delay": schedule.delay * images_per_epoch,
            "duration": schedule.duration * images_per_epoch,
        }
    )
    assert epochs.at(seen, images_per_epoch) == pytest.approx(images.at(seen, 1), rel=1e-9)


@pytest.mark.parametrize("schedule", [kind(start=2.0, floor=0.5, duration=3) for kind in ANNEALED])
def test_schedules_come_down_in_their_duration(schedule: Schedule) -> None:
    late = schedule.at(3 * 1000 * 20, 1000)
    if isinstance(schedule, Step):
        assert late == pytest.approx(0.5)
    elif isinstance(schedule, Exponential):
        assert schedule.at(3000, 1000) == pytest.approx(0.5 + 1.5 / math.e)
        assert late == pytest.approx(0.5, abs=1e-6)
    else:
        assert schedule.at(2999, 1000) > 0.5
        assert schedule.at(3000, 1000) == pytest.approx(0.5) == late


@pytest.mark.parametrize("kind", ANNEALED)
def test_a_descent_begins_when_its_delay_is_over(kind: type[Linear]) -> None:
    at_once = kind(start=2.0, floor=0.5, duration=3)
    later = kind(start=2.0, floor=0.5, delay=5, duration=3)
    assert later.at(0, 100) == later.at(500, 100) == 2.0
    for seen in (0, 10, 150, 300, 900):
        assert later.at(500 + seen, 100) == pytest.approx(at_once.at(seen, 100))
    assert later.at(1000, 100) < 2.0


def test_half_way() -> None:
    assert Linear(start=1, floor=0.2, duration=10).at(500, 100) == pytest.approx(0.6)
    assert Cosine(start=1, floor=0.2, duration=10).at(500, 100) == pytest.approx(0.6)
    assert Cosine(start=1, floor=0, duration=4, unit="images").at(1, 7) == pytest.approx(
        0.5 * (1 + math.sqrt(0.5))
    )


def test_the_authors_stair() -> None:
    stair = Step(start=1.0, drop=0.1, floor=0.0, duration=1, unit="epochs")
    per_epoch = 100 * 128
    for epoch in range(15):
        expected = pytest.approx(max(0.0, 1.0 - 0.1 * epoch), abs=1e-12)
        assert stair.at(epoch * per_epoch, per_epoch) == expected
        assert stair.at((epoch + 1) * per_epoch - 128, per_epoch) == expected


@pytest.mark.parametrize("duration", [0.1, 0.3, 0.7, 1.1])
def test_a_stair_drops_on_the_image_that_it_names(duration: float) -> None:
    stair = Step(start=1.0, drop=0.1, duration=duration, unit="epochs")
    edge = round(duration * 12800)
    for stairs in range(1, 10):
        assert stair.at(stairs * edge, 12800) == pytest.approx(1 - 0.1 * stairs)
        assert stair.at(stairs * edge - 1, 12800) == pytest.approx(1 - 0.1 * (stairs - 1))


@unhurried
@given(st.floats(0, 1e6), st.integers(0, 10**12))
def test_a_constant_is_constant(value: float, seen: int) -> None:
    assert Constant(value=value).at(seen, 100) == value


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("linear", {"start": -1}),
        ("linear", {"floor": -0.1}),
        ("cosine", {"duration": 0}),
        ("exponential", {"unit": "steps"}),
        ("step", {"drop": 0}),
        ("constant", {"value": -1}),
        ("constant", {"start": 1}),
        ("wavy", {}),
        ("linear", {"start": 0.1, "floor": 0.2}),
        ("linear", {"start": math.nan}),
    ],
)
def test_bad_schedules_are_refused(kind: str, fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        adapter.validate_python({"kind": kind, **fields})


@pytest.mark.parametrize(
    ("seen", "share"), [(0, 0.25), (500, 0.25), (1000, 0.5), (2000, 1.0), (10**9, 1.0)]
)
@pytest.mark.parametrize("unit", ["images", "epochs"])
def test_a_warm_up_waits_and_rises_to_one(seen: int, share: float, unit: str) -> None:
    length = 100 if unit == "epochs" else 1
    warm_up = WarmUp(start=0.25, delay=500 / length, duration=1500 / length, unit=unit)
    assert warm_up.at(seen, images_per_epoch=100) == pytest.approx(share)


@unhurried
@given(st.integers(0, 10**7))
def test_a_warm_up_without_a_start_begins_at_nothing(seen: int) -> None:
    warm_up = WarmUp(duration=1e6, unit="images")
    assert warm_up.at(seen, images_per_epoch=1) == pytest.approx(min(1.0, seen / 1e6))


HALVING = '''
from typing import Literal

from pydantic import Field

from ssgan.method.schedules import Schedule


class Halving(Schedule):
    """Half as large after every so many images."""

    kind: Literal["halving.Halving"] = "halving.Halving"
    start: float = Field(default=1.0, ge=0)
    """Value before the descent."""
    images: int = Field(default=1000, ge=1)
    """Images in which the value halves."""

    def at(self, images_seen, images_per_epoch):
        return self.start * 0.5 ** (images_seen / self.images)
'''


def test_a_schedule_may_come_from_outside(tmp_path: Path) -> None:
    with module_outside(tmp_path, "halving", HALVING, Schedule):
        changes = ["instance_noise.kind=halving.Halving", "instance_noise.images=64"]
        experiment = load_experiment("digits", changes)
        assert experiment.instance_noise.at(128, 1000) == 0.25
        assert Experiment.from_yaml(experiment.to_yaml()) == experiment
        with pytest.raises(BadInput, match="has no 'image'; did you mean 'images'"):
            load_experiment(
                "digits", ["instance_noise.kind=halving.Halving", "instance_noise.image=6"]
            )
        images = {"kind": "integers", "low": 10, "high": 99}
        option = {"kind": "halving.Halving", "images": images}
        search = {"kind": "schedule", "options": [option]}
        found = load_search({"base": "digits", "space": {"instance_noise": search}})
        assert [noise["images"] for noise in found.space["instance_noise"].corners()] == [10, 99]
