"""``ssgan presets``: which experiments ship, and what the fields of one are and mean."""

from __future__ import annotations

import json
from typing import Any

import click

from ssgan.cli.screen import aligned
from ssgan.cli.verb import Answer, Verb

_WIDE = 48  # characters of a value


@click.command(
    cls=Verb,
    short_help="List presets, or the fields of one.",
    json="the presets, or the fields of one",
    examples="""\
  ssgan presets                list the experiments that ship
  ssgan presets mnist          every field of one: its value and what it means
  ssgan presets my-photos.yaml
  ssgan presets mnist | grep objective
""",
)
@click.argument("name", metavar="[PRESET|FILE.yaml]", required=False)
def presets(name: str | None) -> Answer:
    """List the presets with what each is for, or all fields of one with value and meaning.

    A field is set by its name, as in `ssgan train mnist objective.lambda2=1.5`. Values that differ
    from the default are marked with an asterisk.
    """
    return _list() if name is None else _show(name)


def _list() -> Answer:
    from ssgan.experiment.loading import about_preset, preset_names

    about = {name: about_preset(name) for name in preset_names()}
    return Answer(aligned(list(about.items())), {"presets": about})


def _show(name: str) -> Answer:
    from ssgan.experiment.fields import describe_fields, field_class, flatten
    from ssgan.experiment.loading import load_experiment
    from ssgan.experiment.tree import Experiment

    experiment = load_experiment(name)
    values, defaults = flatten(experiment), flatten(Experiment())
    rows: list[tuple[str, ...]] = []
    facts: list[dict[str, Any]] = []
    for field, meaning in describe_fields(experiment):
        value, is_default = values[field], values[field] == defaults.get(field)
        rows.append((field, _spell(value), "" if is_default else "*", meaning))
        facts.append(
            {
                "name": field,
                "value": value,
                "is_default": is_default,
                "class": field_class(field),
                "meaning": meaning,
            }
        )
    return Answer(aligned(rows), {"preset": experiment.name, "fields": facts})


def _spell(value: Any) -> str:
    """Write a value as an override takes it, the beginning of a long one."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _WIDE else f"{text[: _WIDE - 3]}..."
