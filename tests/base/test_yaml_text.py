import math
from collections.abc import Callable

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ssgan.base.errors import BadInput
from ssgan.base.yaml_text import read_yaml, write_yaml

unhurried = settings(deadline=None, max_examples=50)  # no timed assertions


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
        ("0777", 777),
        ("0o17", 15),
        ("0x1F", 31),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("2024-01-02", "2024-01-02"),
        ("10%", "10%"),
        ("null", None),
        ("", None),
        ("# nothing", None),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("'1'", "1"),
        ("e5", "e5"),
        ("=", "="),
        ("{a: 1e3, b: [2]}", {"a": 1000.0, "b": [2]}),
        ("a: &x {b: 1}\nc: {<<: *x, d: 2}", {"a": {"b": 1}, "c": {"b": 1, "d": 2}}),
    ],
)
def test_yaml_means_what_it_says(text: str, value: object) -> None:
    read = read_yaml(text)
    assert read == value
    assert type(read) is type(value)


# PyYAML writes control characters and exotic line breaks in a way that it does not read back.
TEXT = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=6).filter(
    lambda text: "\ufeff" not in text
)


@unhurried
@example("0E0")  # a word to YAML 1.1, a number to 1.2
@example("08")
@example("0o7")
@example("no")  # the reverse
@given(st.floats(allow_nan=False) | st.integers(-(2**64) + 1, 2**64 - 1) | st.booleans() | TEXT)
@pytest.mark.parametrize("read_back", [read_yaml, yaml.safe_load])
def test_what_is_written_is_read(read_back: Callable[[str], object], value: object) -> None:
    read = read_back(write_yaml(value))
    assert read == value
    assert type(read) is type(value)


def _laughs(levels: int) -> str:
    rows = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels)]
    return "\n".join(["a0: &a0 [x]", *rows])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\nb: 2\na: 3", "my.yaml, line 3: a is set already, in line 1"),
        ("a: {b: 1, 'b': 2}", "my.yaml: b is set already, in line 1"),
        ("a: 1\nb: [", r"my.yaml is not YAML, line \d: while parsing"),
        ("a: \x1b", "my.yaml is not YAML: .*x001b"),
        ('a: 1\nb: "x\\e[31m"', "my.yaml, line 2: the text .* control character"),
        ('"a\\0": 1', "control character"),
        ("seed: " + "9" * 5000, "5000 digits has more than 64 bits"),
        (f"seed: {2**64}", "more than 64 bits"),
        ("x: " + "[" * 5000 + "]" * 5000, "deeper than 32 levels"),
        ("x: " + "{a: " * 5000 + "}" * 5000, "deeper than 32 levels"),
        ("- " * 5000 + "a", "deeper than 32 levels"),
        (_laughs(12), "aliases make more than 50,000 values"),
        ("a: &a [*a]", "an alias of itself"),
        ("a: 1" + " " * 100_000, "100,004 characters"),
        ("[a]: 1", "a field's name is text"),
        ("a: 1\n---\na: 2", "single document"),
        ("!!python/object/apply:os.getcwd []", "could not determine a constructor"),
        ("!!set {a}", "could not determine a constructor"),
        ("!!binary aGFsbG8=", "could not determine a constructor"),
        ("!!int soon", "invalid literal"),
        ("!!float soon", "'soon' is not a number"),
        ("!!bool soon", "'soon' is neither"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_a_line(text: str, problem: str) -> None:
    with pytest.raises(BadInput, match=problem) as refused:
        read_yaml(text, "my.yaml")
    assert "\n" not in str(refused.value)


@settings(deadline=None, max_examples=200)
@given(st.text(st.sampled_from("ab:-[]{},&*!<|>'\"#?%@ \n\t01.e~\\"), max_size=30))
def test_any_text_is_read_or_refused_in_a_line(text: str) -> None:
    problem = ""
    try:
        read_yaml(text)
    except BadInput as error:
        problem = str(error)
    assert "\n" not in problem
