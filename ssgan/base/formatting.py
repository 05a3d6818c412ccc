"""Searched values in words: flat names, short names, few digits."""

from collections.abc import Iterable, Mapping
from typing import Any


def flat_values(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten values to dotted names; a schedule becomes its kind and its parameters."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= flat_values(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def fields_of(configurations: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return all flat names in the order in which they appear first."""
    return list(dict.fromkeys(name for values in configurations for name in flat_values(values)))


def short_names(configurations: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Cut the names of fields, and of their parts, to the shortest ends that tell them apart.

    Of ``label_sampling.probability.floor`` at least two parts stay: ``floor`` alone says little.
    """
    configurations = list(configurations)
    roots = list(dict.fromkeys(root for values in configurations for root in values))
    short = {}
    for root in roots:
        parts = root.split(".")
        for length in range(min(len(parts), 2 if len(parts) > 2 else 1), len(parts) + 1):
            end = ".".join(parts[-length:])
            if not any(other != root and f".{other}".endswith(f".{end}") for other in roots):
                break
        short[root] = end
    flat = dict(short)
    for values in configurations:
        for root, value in values.items():
            for name in flat_values({root: value}):
                flat[name] = short[root] + name.removeprefix(root)
    return flat


def spell(value: Any) -> str:
    """Write a value for people: three digits, a schedule as its kind and parameters."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, Mapping):
        rest = ", ".join(f"{key} {spell(one)}" for key, one in value.items() if key != "kind")
        kind = value.get("kind")
        return rest if kind is None else f"{kind}: {rest}" if rest else str(kind)
    if isinstance(value, list | tuple):
        return ", ".join(spell(one) for one in value)
    return str(value)


def spell_all(values: Mapping[str, Any]) -> str:
    """Write a configuration in a line, with short names: ``lambda1 0.31, lambda2 2``."""
    short = short_names([values])
    return ", ".join(f"{short[name]} {spell(one)}" for name, one in values.items())


def number(value: Any) -> float | None:
    """Return a value as a number, or None where it is none (truth values are words)."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
