import json
import logging
import math
import pickle
from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from ssgan.base.config import (
    STORED,
    Config,
    Formerly,
    OpenUnion,
    canonical_hash,
    nearest,
)
from ssgan.base.errors import BadInput
from tests.helpers.outside import module_outside

unhurried = settings(deadline=None, max_examples=50)  # no timed assertions


class Oven(Config):
    """An oven."""

    heat: float = Field(default=180.0, ge=0)
    """Temperature in degrees Celsius."""


def test_a_configuration_is_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Oven().heat = 200.0  # type: ignore[misc]


def test_unknown_fields_are_refused() -> None:
    with pytest.raises(ValidationError, match="warmth"):
        Oven(warmth=3)  # type: ignore[call-arg]


def test_docstrings_describe_fields() -> None:
    assert Oven.model_fields["heat"].description == "Temperature in degrees Celsius."


class Dish(OpenUnion):
    """What is baked."""

    default_kind = "bread"

    @abstractmethod
    def minutes(self) -> float:
        """Return how long it takes."""


class Bread(Dish):
    """Bread."""

    kind: Literal["bread"] = "bread"
    weight: Annotated[float, Formerly("mass")] = Field(default=1.0, gt=0)
    """Weight in kilograms."""

    def minutes(self) -> float:
        return 50 * self.weight


class Pie(Dish):
    """Pie."""

    kind: Annotated[Literal["pie"], Formerly("sort")] = "pie"
    apples: int = 6
    """How many."""

    def minutes(self) -> float:
        return 40


class Menu(Config):
    """A menu."""

    dish: Dish = Bread()
    """What there is."""


def test_a_former_name_is_read_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    assert Bread.model_validate({"mass": 2}) == Bread(weight=2)
    assert [record.getMessage() for record in caplog.records] == [
        "mass is called weight now; the former name is read until ssgan 0.3"
    ]
    assert "mass" not in Bread(weight=2).model_dump()


def test_what_ssgan_stored_is_read_without_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        menu = Menu.model_validate({"dish": {"mass": 2}}, context=STORED)
    assert menu.dish == Bread(weight=2)
    assert not caplog.records


def test_a_field_is_not_given_by_two_names() -> None:
    with pytest.raises(ValidationError, match="mass is the former name of weight; set weight"):
        Bread.model_validate({"mass": 2, "weight": 2})


def test_a_union_is_read_and_written_by_kind() -> None:
    menu = Menu.model_validate({"dish": {"kind": "pie", "apples": 3}})
    assert menu.dish == Pie(apples=3)
    assert menu.dish.minutes() == 40
    assert menu.model_dump() == {"dish": {"kind": "pie", "apples": 3}}
    for again in (
        Menu.model_validate_json(menu.model_dump_json()),
        Menu.model_validate(menu.model_dump(mode="json")),
        pickle.loads(pickle.dumps(menu)),
        Menu(dish=menu.dish),
    ):
        assert again == menu
    assert Dish.model_validate({"sort": "pie"}) == Pie()
    assert Menu.model_validate({"dish": {"weight": 2}}).dish == Bread(weight=2)


@pytest.mark.parametrize(
    ("dish", "problem"),
    [
        ({"kind": "pi"}, r"dish\n  there is no kind 'pi'; did you mean 'pie'"),
        ({"kind": ["pie"]}, "there is no kind"),
        ({"kind": None}, "needs a kind; known: bread, pie"),
        ({"kind": "..pie"}, "there is no kind"),
        ({"kind": "no_such_module.Pie"}, "no module 'no_such_module' .* PYTHONPATH"),
        ({"kind": "json.Pie"}, "there is no kind 'json.Pie'"),
        ({"kind": "pie", "weight": 1}, r"dish\.weight\n  Extra inputs"),
        ({"weight": -1}, r"dish\.weight\n  Input should be greater than 0"),
        (5, "takes fields and their values"),
    ],
)
def test_what_no_member_takes_is_refused(dish: object, problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        Menu.model_validate({"dish": dish})


def test_a_union_itself_is_not_a_member() -> None:
    with pytest.raises(TypeError, match="abstract"):
        Dish()  # type: ignore[abstract]


BAKERY = f"""
from typing import Literal

from {__name__} import Dish


class Cake(Dish):
    kind: Literal["bakery.Cake"] = "bakery.Cake"
    eggs: int = 4

    def minutes(self):
        return 10.0 * self.eggs
"""


@pytest.fixture
def bakery(tmp_path: Path) -> Iterator[str]:
    """A module outside of the package, with a kind of its own, that nobody imported."""
    with module_outside(tmp_path, "bakery", BAKERY, Dish):
        yield "bakery.Cake"


def test_a_kind_of_another_package_is_imported_by_its_name(bakery: str) -> None:
    assert bakery not in Dish.members()
    menu = Menu.model_validate({"dish": {"kind": bakery, "eggs": 2}})
    assert menu.dish.minutes() == 20
    assert Menu.model_validate(menu.model_dump(mode="json")) == menu
    assert bakery in Dish.members()


def test_a_kind_is_taken_once() -> None:
    with pytest.raises(TypeError, match=r"Bread is of the kind 'bread' already"):

        class Loaf(Dish):
            kind: Literal["bread"] = "bread"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@unhurried
@given(st.dictionaries(st.text(max_size=5), json_values, max_size=4))
def test_hash_ignores_key_order_and_survives_json(value: dict[str, object]) -> None:
    reversed_keys = dict(reversed(value.items()))
    assert canonical_hash(value) == canonical_hash(reversed_keys)
    assert canonical_hash(value) == canonical_hash(json.loads(json.dumps(value, indent=2)))


@unhurried
@given(json_values, json_values)
def test_hash_tells_values_apart(one: object, other: object) -> None:
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (canonical_hash(one) == canonical_hash(other)) == same


def test_hash_is_64_hexadecimal_digits() -> None:
    digest = canonical_hash({"b": [1, 2], "a": "é"})
    assert len(digest) == 64
    assert set(digest) <= set("0123456789abcdef")


def test_nearest_suggests_or_lists() -> None:
    assert nearest("lamda2", ["lambda1", "lambda2"]) == "; did you mean 'lambda2'?"
    assert nearest("zzz", ["one", "two"]) == "; known: one, two"
    assert nearest("zzz", []) == "; known: none"


class Loaf(Config):
    """A loaf with numbers of every kind."""

    slices: int = 1
    weight: float = 1.0
    holes: tuple[int, ...] = ()
    span: int | tuple[int, int] = 1
    share: int | float | str = 1
    parts: dict[str, float] = Field(default_factory=dict)
    sliced: bool = False
    note: object = None


@pytest.mark.parametrize(
    "fields",
    [
        {"slices": True},
        {"weight": False},
        {"holes": [1, True]},
        {"span": [True, 2]},
        {"share": True},
        {"parts": {"crust": True}},
        {"weight": math.inf},
        {"weight": math.nan},
        {"share": math.inf},
        {"parts": {"crust": -math.inf}},
        {"slices": 2**64},
        {"share": -(2**64)},
        {"holes": [2**70]},
        {"slices": 1.5},
    ],
)
def test_a_number_is_finite_short_and_no_truth_value(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=r"number|finite|64 bits|integer"):
        Loaf.model_validate(fields)


def test_truth_values_stay_where_they_are_taken() -> None:
    loaf = Loaf.model_validate({"sliced": "yes", "note": True, "slices": 2.0, "span": [1, 2]})
    assert (loaf.sliced, loaf.note, loaf.slices, loaf.span) == (True, True, 2, (1, 2))


def test_a_stored_tree_that_is_damaged_is_told_in_a_line() -> None:
    for text in ("", "[", "heat: -1\nwarmth: 3", "heat: true"):
        with pytest.raises(BadInput, match=r"this oven|resolved oven") as refused:
            Oven.from_yaml(text)
        assert "\n" not in str(refused.value)
