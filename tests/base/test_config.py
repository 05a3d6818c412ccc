import json
import math
from collections.abc import Callable

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from ssgan.base.config import Config, canonical_hash, nearest, read_yaml, write_yaml

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


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("[yes, on, off, y]", ["yes", "on", "off", "y"]),
        ("true", True),
        ("False", False),
        ("1e-4", 1e-4),
        ("-2E3", -2000.0),
        (".5", 0.5),
        ("1.", 1.0),
        ("1.0e-08", 1e-8),
        ("12", 12),
        ("-3", -3),
        ("10%", "10%"),
        ("null", None),
        ("", None),
        (".inf", math.inf),
        ("'1'", "1"),
        ("e5", "e5"),
        ("{a: 1e3, b: [2]}", {"a": 1000.0, "b": [2]}),
    ],
)
def test_users_yaml_means_what_it_says(text: str, value: object) -> None:
    read = read_yaml(text)
    assert read == value
    assert type(read) is type(value)


# PyYAML writes control characters and exotic line breaks in a way that it does not read back.
TEXT = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=6)


@unhurried
@example("0E0")  # a word to YAML 1.1, a number to 1.2
@example("no")  # the reverse
@given(st.floats(allow_nan=False) | st.integers() | st.booleans() | TEXT)
@pytest.mark.parametrize("read_back", [read_yaml, yaml.safe_load])
def test_what_is_written_is_read(read_back: Callable[[str], object], value: object) -> None:
    read = read_back(write_yaml(value))
    assert read == value
    assert type(read) is type(value)


def test_yaml_is_plain_data() -> None:
    with pytest.raises(yaml.YAMLError):
        read_yaml("!!python/object/apply:os.getcwd []")
