"""Names and numbers are short where that is not ambiguous."""

import pytest

from ssgan.base.formatting import fields_of, flat_values, number, short_names, spell


def test_schedules_become_their_kind_and_parameters() -> None:
    values = {"objective.lambda1": 0.5, "a.b": {"kind": "linear", "duration": {"epochs": 3}}}
    assert flat_values(values) == {
        "objective.lambda1": 0.5,
        "a.b.kind": "linear",
        "a.b.duration.epochs": 3,
    }
    other = {"a.b": {"kind": "step", "floor": 0.1}}
    assert fields_of([values, other]) == [
        "objective.lambda1",
        "a.b.kind",
        "a.b.duration.epochs",
        "a.b.floor",
    ]


def test_names_are_cut_to_ends_that_differ() -> None:
    short = short_names(
        [
            {"objective.lambda1": 1, "optimizer.generator.rate": 1},
            {"optimizer.discriminator.rate": 1, "label_sampling.probability": {"kind": "linear"}},
        ]
    )
    assert short == {
        "objective.lambda1": "lambda1",
        "optimizer.generator.rate": "generator.rate",
        "optimizer.discriminator.rate": "discriminator.rate",
        "label_sampling.probability": "probability",
        "label_sampling.probability.kind": "probability.kind",
    }
    assert short_names([{"a.floor": 1, "b.floor": 1}]) == {
        "a.floor": "a.floor",
        "b.floor": "b.floor",
    }


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.123456, "0.123"),
        (12, "12"),
        (True, "yes"),
        (None, "none"),
        ("batch", "batch"),
        ([1, 0.5], "1, 0.5"),
        ({"kind": "linear", "duration": 4.2, "floor": 0.0}, "linear: duration 4.2, floor 0"),
        ({"kind": "constant"}, "constant"),
        ({"low": 1}, "low 1"),
    ],
)
def test_values_in_words(value: object, text: str) -> None:
    assert spell(value) == text


def test_truth_and_words_are_no_numbers() -> None:
    assert [number(value) for value in (2, 0.5, True, "2", None)] == [2.0, 0.5, None, None, None]
