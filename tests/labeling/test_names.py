"""Names of classes, and their keys."""

import pytest

from ssgan.base.errors import BadInput
from ssgan.labeling.names import KEYS, check_class, find_class, find_doubles, give_keys


def test_case_spaces_and_unicode_forms_make_no_other_class() -> None:
    classes = ["red circle", "Köln"]
    assert find_class(" Red   CIRCLE", classes) == "red circle"
    assert find_class("Ko\u0308ln", classes) == "Köln"
    assert find_class("redcircle", classes) is None
    assert find_doubles(["a", "A", "b", "A"]) == [["A", "a"]]


@pytest.mark.parametrize("name", ["", "  ", "NA", "None of  These", "x" * 101, "a\u0007"])
def test_names_that_would_be_read_as_something_else_are_refused(name: str) -> None:
    with pytest.raises(BadInput):
        check_class(name, ["NA"])
    assert check_class(" red  circle ", ["NA"]) == "red circle"


def test_a_digit_has_its_own_key_and_keys_stay_when_classes_come() -> None:
    classes = ["3", "7", "circle", "1", "Q"]
    keys = give_keys(classes)
    assert keys == {"3": "3", "7": "7", "circle": "1", "1": "2", "Q": "q"}
    longer = give_keys([*classes, "new"])
    assert {name: longer[name] for name in classes} == keys


def test_there_are_classes_without_a_key_but_no_key_twice() -> None:
    keys = give_keys([f"class {number}" for number in range(60)])
    assert sorted(keys.values()) == sorted(KEYS)
    assert not set("nxu? ") & set(KEYS)
