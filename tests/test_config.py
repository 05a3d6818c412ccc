import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from ssgan.config import Config, canonical_hash, nearest

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
