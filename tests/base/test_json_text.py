import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssgan.base.json_text import read_json


@pytest.mark.parametrize(
    "text", ["{}", "null", '{"a": [1, -2.5, true, "é"]}', str(2**63), "1e300", "[" * 31 + "]" * 31]
)
def test_json_is_read_as_it_is(text: str) -> None:
    assert read_json(text.encode()) == json.loads(text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "Expecting value"),
        ('{"a": 1', "Expecting"),
        ("NaN", "NaN is not a number"),
        ("[-Infinity]", "-Infinity is not a number"),
        ("1e999", "too large"),
        ("9" * 5000, "of 5000 digits has more than 64 bits"),
        (str(2**64), "more than 64 bits"),
        ("[" * 200_000, "deeper than 32"),
        ("[" * 33 + "]" * 33, "deeper than 32"),
        ('{"a":' * 500 + "1" + "}" * 500, "deeper than 32"),
    ],
)
def test_what_no_manifest_holds_is_refused_in_a_line(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as refused:
        read_json(text)
    assert "\n" not in str(refused.value)


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(ValueError, match="utf-8"):
        read_json(b'{"a": "\xff"}')


def test_nan_is_null_where_it_may_stand_for_not_known() -> None:
    assert read_json('{"a": NaN, "b": 1}', nan_is_null=True) == {"a": None, "b": 1}
    with pytest.raises(ValueError, match="Infinity is not a number"):
        read_json("Infinity", nan_is_null=True)


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from('[]{}":,0129eE.-+ntrufalsNI\\ \n\0\u00e9\u2028'), max_size=30))
def test_any_text_is_read_or_refused_in_a_line(text: str) -> None:
    content = text.encode()  # which json takes for UTF-16 where it has zeros
    try:
        value = read_json(content)
    except ValueError as error:
        refused = str(error)
    else:
        assert json.loads(content) == value
        return
    assert len(refused.splitlines()) == 1
