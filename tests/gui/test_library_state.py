"""The models as the command line tells them."""

from __future__ import annotations

import json

import msgspec
import pytest

from gui.state import library


def lines(*records: object) -> bytes:
    return "\n".join(json.dumps(record) for record in records).encode()


SUMMARY = {"models": 2, "library": "/lib", "default": "b", "unreadable": [{"path": "/lib/x.pth", "problem": "broken"}]}


def test_pairs_default_and_damaged_files_are_known() -> None:
    found = library.parse(
        lines(
            {"name": "a", "scale": 2, "weights_hash": "1", "partner": "2", "path": None},
            {"name": "b", "weights_hash": "2", "role": "gan"},
            SUMMARY,
        )
    )
    a, b, broken = found.models
    assert (found.folder, a.scale, b.default, broken.problem) == ("/lib", 2, True, "broken")
    assert library.partner_of(found.models, a) is b
    assert library.partner_of(found.models, b) is None
    assert library.faithful_of(found.models, b) is a
    assert library.faithful_of(found.models, a) is None
    assert library.default(found.models) is a, "a pair begins with its faithful half"


def test_fields_of_another_kind_keep_their_defaults() -> None:
    (model,) = library.parse(lines({"name": "a", "scale": "four", "scores": [{"value": "x"}, 3], "licence": 7})).models
    assert (model.scale, model.scores, model.licence) == (4, (), "")


def test_scores_along_the_blend_come_in_order() -> None:
    scores = [{"metric": "PSNR", "dataset": "d", "value": 30 - a, "alpha": a} for a in (1, 0, 0.5)]
    (model,) = library.parse(lines({"name": "a", "scores": [*scores, {"metric": "psnr", "value": 9}]})).models
    assert library.scores_along((model,), model, "psnr") == [(0.0, 30.0), (0.5, 29.5), (1.0, 29.0)]


def test_the_ends_and_saved_blends_of_a_pair_are_scores_along_the_blend() -> None:
    def score(value: float, dataset: str = "Set5") -> list[dict[str, object]]:
        return [{"metric": "psnr", "dataset": dataset, "value": value}]

    found = library.parse(
        lines(
            {"name": "a", "weights_hash": "1", "role": "psnr", "scores": score(31) + score(28, "Set14")},
            {"name": "b", "weights_hash": "2", "role": "gan", "partner": "1", "scores": score(27)},
            {
                "name": "c",
                "weights_hash": "3",
                "role": "blend",
                "alpha": 0.5,
                "parents": ["1", "2"],
                "scores": score(30),
            },
            {
                "name": "d",
                "weights_hash": "4",
                "role": "blend",
                "alpha": 0.7,
                "parents": ["1", "9"],
                "scores": score(20),
            },
        )
    )
    assert library.scores_along(found.models, found.models[0], "psnr") == [(0.0, 31.0), (0.5, 30.0), (1.0, 27.0)]
    assert library.scores_along(found.models, found.models[0], "st-lpips") == []


def test_what_is_no_json_is_an_error() -> None:
    with pytest.raises(msgspec.DecodeError):
        library.parse(b"Traceback (most recent call last):")


def test_a_pair_is_found_when_only_the_vivid_half_names_the_other() -> None:
    found = library.parse(
        lines({"name": "a", "weights_hash": "1"}, {"name": "b", "weights_hash": "2", "role": "gan", "partner": "1"})
    )
    a, b = found.models
    assert library.partner_of(found.models, a) is b
    assert library.faithful_of(found.models, b) is a
