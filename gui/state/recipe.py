"""A degradation recipe with its damage made stronger or weaker: plain tables in, plain tables out."""

from __future__ import annotations

import hashlib
from typing import Any, Literal

import msgspec

from engine.wire_training import format_value

Damage = Literal["blur", "noise", "jpeg"]
DAMAGES: tuple[Damage, ...] = ("blur", "noise", "jpeg")
LEAST_SIGMA = 0.05
"""Pixels: a blur of less than this changes nothing."""
LEAST_QUALITY = 5


class Amounts(msgspec.Struct, frozen=True):
    """Factors on what the recipe says: 1 as it is, 0 none, 2 twice as much."""

    blur: float = 1.0
    noise: float = 1.0
    jpeg: float = 1.0


def present(recipe: dict[str, Any]) -> set[Damage]:
    """Which kinds of damage the recipe has at all."""
    kinds = {stage.get("kind") for stage in _stages(recipe)}
    return {damage for damage in DAMAGES if damage in kinds}


def adjusted(recipe: dict[str, Any], amounts: Amounts) -> dict[str, Any]:
    """The recipe with blur widths, noise and compression multiplied; the same tables when nothing changes."""
    if amounts == Amounts():
        return recipe
    made: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(recipe))
    for stage in _stages(made):
        kind = stage.get("kind")
        rows = [stage, *(choice for choice in stage.get("choices", []) if isinstance(choice, dict))]
        for row in rows:
            if kind == "blur" and "sigma" in row:
                row["sigma"] = _scaled(row["sigma"], lambda v: max(LEAST_SIGMA, v * amounts.blur))
            elif kind == "noise":
                for key in ("sigma", "strength"):
                    if key in row:
                        row[key] = _scaled(row[key], lambda v: v * amounts.noise)
            elif kind == "jpeg" and "quality" in row:
                row["quality"] = _scaled(
                    row["quality"], lambda v: round(min(100, max(LEAST_QUALITY, 100 - (100 - v) * amounts.jpeg)))
                )
    made["name"] = f"{recipe.get('name', 'recipe')}-{amounts.blur:g}-{amounts.noise:g}-{amounts.jpeg:g}"
    return made


def as_toml(recipe: dict[str, Any]) -> str:
    """A file that the command line reads: every table on one line."""
    return "".join(f"{key} = {format_value(value)}\n" for key, value in recipe.items() if value is not None)


def file_name(recipe: dict[str, Any]) -> str:
    """Tells recipes of one name and different numbers apart."""
    digest = hashlib.sha256(as_toml(recipe).encode()).hexdigest()[:8]
    return f"{recipe.get('name', 'recipe')}-{digest}.toml"


def _stages(table: dict[str, Any]) -> list[dict[str, Any]]:
    """All stages, those inside other stages as well."""
    found: list[dict[str, Any]] = []
    for stage in table.get("stages", []):
        if isinstance(stage, dict):
            found += [stage, *_stages(stage)]
    return found


def _scaled(span: Any, change: Any) -> Any:
    """A number, a list of them at any depth, or a table with `between`."""
    if isinstance(span, dict):
        return {**span, "between": _scaled(span["between"], change)} if "between" in span else span
    if isinstance(span, list):
        return [_scaled(value, change) for value in span]
    return change(span)
