"""`pellucid pair`: both halves name each other, and hold what their blends really score."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.cli.frame import run_command_line
from engine.evaluate import add_evaluate_parser
from engine.evaluate.pair import ALPHAS, add_pair_parser
from engine.models.arch.compact import COMPACT, CompactArgs
from engine.models.card import Card
from engine.models.files import read_model, weights_hash, write_model
from engine.models.model import Model

ARGS = CompactArgs(features=8, convolutions=1)


@pytest.fixture
def halves(tmp_path: Path) -> tuple[Path, Path]:
    paths = []
    for seed, name in enumerate(("calm", "lively")):
        random = np.random.default_rng(seed)
        weights = {
            key: random.normal(0, 0.05, shape).astype(np.float32)
            for key, shape in COMPACT.parameter_shapes(ARGS).items()
        }
        card = Card(
            name=name,
            architecture="compact",
            arguments=COMPACT.write_arguments(ARGS),
            parameters=COMPACT.count_parameters(ARGS),
        )
        paths.append(tmp_path / f"{name}.safetensors")
        write_model(Model(card, weights), paths[-1])
    return paths[0], paths[1]


@pytest.fixture
def pictures(tmp_path: Path) -> tuple[Path, Path]:
    truth = Image.fromarray(np.random.default_rng(3).integers(0, 256, (16, 20, 3), np.uint8)).resize((80, 64))
    for folder, picture in (("lq", truth.resize((20, 16))), ("gt", truth)):
        (tmp_path / folder).mkdir()
        picture.save(tmp_path / folder / "a.png")
    return tmp_path / "lq", tmp_path / "gt"


@pytest.mark.parametrize("half", [False, True])
def test_the_halves_know_each_other_and_their_scores(
    halves: tuple[Path, Path],
    pictures: tuple[Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    half: bool,
) -> None:
    words = ["pair", *map(str, halves), "-o", str(tmp_path / "out"), "--lq", str(pictures[0]), "--gt", str(pictures[1])]
    assert run_command_line([*words, "--test-set", "mine", *(["--half"] if half else [])], add_pair_parser) == 0
    calm, lively = (read_model(tmp_path / "out" / path.name) for path in halves)
    assert (calm.card.role, lively.card.role) == ("psnr", "gan")
    assert calm.card.partner == weights_hash(lively.weights)
    assert lively.card.partner == weights_hash(calm.weights)
    curve = {s.alpha: s.value for s in calm.card.scores if s.metric == "psnr" and s.alpha is not None}
    assert tuple(curve) == ALPHAS
    capsys.readouterr()
    # The same figures from `evaluate`, which restores on a session of its own.
    for alpha in (0.0, 0.5, 1.0):
        told = run_command_line(
            ["evaluate", "--model", str(tmp_path / "out" / "calm.safetensors"), "--partner",
             str(tmp_path / "out" / "lively.safetensors"), "--alpha", str(alpha), "--lq", str(pictures[0]),
             "--gt", str(pictures[1]), "--json"],
            add_evaluate_parser,
        )  # fmt: skip
        assert told == 0
        summary = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert summary["psnr"] == pytest.approx(curve[alpha], abs=0.02)
    assert len({round(value, 3) for value in curve.values()}) == len(ALPHAS)


def test_other_networks_and_half_a_test_set_are_refused(
    halves: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (
        [str(halves[0]), "bicubic", "-o", str(tmp_path / "out")],
        [str(halves[0]), str(halves[0]), "-o", str(tmp_path / "out")],
        [str(halves[0]), str(halves[1]), "-o", str(tmp_path / "out"), "--lq", str(tmp_path)],
    ):
        assert run_command_line(["pair", *words], add_pair_parser) in (1, 2)
        assert "Traceback" not in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
