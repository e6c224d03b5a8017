"""The models there are, as `pellucid models list --json` tells them."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

import msgspec
from msgspec.structs import replace


class Score(msgspec.Struct, frozen=True):
    metric: str
    dataset: str
    value: float
    alpha: float | None = None


class Model(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    path: str = ""
    hash: str = ""
    architecture: str = ""
    scale: int = 4
    parameters: int = 0
    licence: str = ""
    description: str = ""
    attribution: tuple[str, ...] = ()
    role: str = ""
    partner: str = ""
    """Name or hash of the other half of a pair; empty: none."""
    alpha: float | None = None
    parents: tuple[str, ...] = ()
    """Of a blend: hashes of the two halves."""
    scores: tuple[Score, ...] = ()
    default: bool = False
    bundled: bool = False
    """It came with the program: it cannot be renamed or removed."""
    problem: str = ""
    """Why it cannot be used; empty: it can."""


class Library(msgspec.Struct, frozen=True, kw_only=True):
    models: tuple[Model, ...] = ()
    folder: str = ""
    """Where the user's own models lie."""


def parse(data: bytes) -> Library:
    """One JSON object a line: the models, then a summary that names the default and the files that are no models.

    Fields that are missing or of another kind keep their defaults. Raises msgspec.DecodeError for what is no JSON.
    """
    rows: list[Any] = [msgspec.json.decode(line) for line in data.splitlines() if line.strip()]
    models = [_model(row) for row in rows if isinstance(row, dict) and "name" in row]
    summary = next((row for row in reversed(rows) if isinstance(row, dict) and "library" in row), {})
    chosen = _text(summary, "default")
    damaged = summary.get("unreadable")
    for file in damaged if isinstance(damaged, list) else ():
        if isinstance(file, dict):
            path = _text(file, "path")
            models.append(Model(name=PurePath(path).name, path=path, problem=_text(file, "problem") or "?"))
    marked = tuple(replace(model, default=model.default or model.name == chosen) for model in models)
    return Library(models=marked, folder=_text(summary, "library"))


def find(models: tuple[Model, ...], name: str) -> Model | None:
    return next((model for model in models if name and name in (model.name, model.hash, model.path)), None)


def default(models: tuple[Model, ...]) -> Model | None:
    """The model to begin with: the faithful half where the default is the vivid one of a pair."""
    usable = [model for model in models if not model.problem]
    first = next((model for model in usable if model.default), usable[0] if usable else None)
    return (faithful_of(models, first) or first) if first is not None else None


def partner_of(models: tuple[Model, ...], model: Model) -> Model | None:
    """The vivid half of a pair, if `model` is the faithful one: what its card names, or what names it."""
    if model.role == "gan":
        return None
    named = find(models, model.partner)
    if named is not None:
        return named
    own = {model.hash, model.name} - {""}
    return next((m for m in models if m.role == "gan" and m.partner in own and not m.problem), None)


def faithful_of(models: tuple[Model, ...], model: Model) -> Model | None:
    """The faithful half of a pair, if `model` is the vivid one."""
    return next((other for other in models if other is not model and partner_of(models, other) is model), None)


def scores_along(models: tuple[Model, ...], model: Model, metric: str) -> list[tuple[float, float]]:
    """(alpha, value) of what was measured on one data set between `model` and its vivid partner, in order.

    Scores may carry an alpha of their own; else those of the two halves are the ends, and a saved blend of the two
    stands at its alpha.
    """
    partner = partner_of(models, model)
    sources: list[tuple[Model, float | None]] = [(model, 0.0), *([(partner, 1.0)] if partner else [])]
    if partner is not None:
        sources += [
            (m, m.alpha) for m in models if m.alpha is not None and {model.hash, partner.hash} == set(m.parents)
        ]
    found: dict[str, dict[float, float]] = {}
    for source, place in sources:
        for score in source.scores:
            alpha = place if score.alpha is None else score.alpha
            if score.metric.lower() == metric and alpha is not None:
                found.setdefault(score.dataset, {})[alpha] = score.value
    most = max(found.values(), key=len, default={})
    return sorted(most.items()) if len(most) > 1 else []


def _model(row: dict[str, Any]) -> Model:
    card = row.get("card")
    merged = {**(card if isinstance(card, dict) else {}), **{k: v for k, v in row.items() if k != "card"}}
    return Model(
        name=_text(merged, "name") or _text(merged, "path") or "?",
        path=_text(merged, "path") or _text(merged, "file"),
        hash=_text(merged, "hash") or _text(merged, "weights_hash"),
        architecture=_text(merged, "architecture"),
        scale=_whole(merged, "scale", 4),
        parameters=_whole(merged, "parameters", 0),
        licence=_text(merged, "licence") or _text(merged, "license"),
        description=_text(merged, "description"),
        attribution=tuple(str(line) for line in merged.get("attribution") or ()),
        role=_text(merged, "role"),
        partner=_text(merged, "partner_name") or _text(merged, "partner"),
        alpha=_number(merged.get("alpha")),
        parents=tuple(str(line) for line in merged.get("parents") or ()),
        scores=_scores(merged.get("scores")),
        default=merged.get("default") is True,
        bundled=merged.get("bundled") is True,
        problem=_text(merged, "problem"),
    )


def _text(row: dict[str, Any], key: str) -> str:
    value = row.get(key)
    return value if isinstance(value, str) else ""


def _whole(row: dict[str, Any], key: str, otherwise: int) -> int:
    value = row.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else otherwise


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _scores(rows: object) -> tuple[Score, ...]:
    if not isinstance(rows, list):
        return ()
    made: list[Score] = []
    for row in rows:
        value = _number(row.get("value")) if isinstance(row, dict) else None
        if value is not None:
            made.append(Score(_text(row, "metric"), _text(row, "dataset"), value, _number(row.get("alpha"))))
    return tuple(made)
