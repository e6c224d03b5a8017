"""Blending: the formula, to the last parameter and buffer, and a sentence wherever it makes no sense."""

from __future__ import annotations

import tracemalloc
from typing import Any

import msgspec
import numpy as np
import pytest

from engine.errors import Code, PellucidError
from engine.models.arch.compact import COMPACT, CompactArgs
from engine.models.arch.msrresnet import MSRRESNET, MsrResNetArgs
from engine.models.arch.srresnet import SRRESNET, SrResNetArgs
from engine.models.blend import blend, lerp_weights
from engine.models.classical import find_classical
from engine.models.files import check_model, weights_hash
from engine.models.model import Model


@pytest.mark.parametrize("alpha", [0.0, 0.25, 0.5, 1.0, -0.5, 1.5])
@pytest.mark.parametrize("family", ["compact", "srresnet"])
def test_a_blend_is_the_weighted_sum_of_every_tensor(alpha: float, family: str, make_model: Any) -> None:
    network = (SRRESNET, SrResNetArgs(features=4, blocks=1)) if family == "srresnet" else ()
    psnr, gan = make_model("p", *network, seed=1), make_model("g", *network, seed=2)
    mixed = blend(psnr, gan, alpha)
    check_model(mixed)
    assert set(mixed.weights) == set(psnr.weights)
    for name, value in mixed.weights.items():
        a, b = psnr.weights[name].astype(np.float64), gan.weights[name].astype(np.float64)
        expected = (1 - alpha) * a + alpha * b
        if name.endswith("num_batches_tracked"):
            expected = a
        if name.endswith("running_var"):
            expected = np.maximum(expected, 0)
        assert value.dtype == np.float32
        assert np.abs(value - expected).max() <= 4e-7 * max(1.0, np.abs(expected).max())


def test_the_ends_are_the_parents_exactly(make_model: Any) -> None:
    psnr, gan = make_model("p", seed=1), make_model("g", seed=2)
    assert weights_hash(blend(psnr, gan, 0).weights) == weights_hash(psnr.weights)
    assert weights_hash(blend(psnr, gan, 1).weights) == weights_hash(gan.weights)


def test_the_card_names_both_parents_and_alpha(make_model: Any) -> None:
    psnr = make_model("faithful", seed=1, licence="CC0", attribution=["Ada", "Bob"], halo=3)
    gan = make_model("vivid", seed=2, licence="MIT", attribution=["Bob", "Cyd"], halo=5)
    card = blend(psnr, gan, 0.25).card
    assert card.parents == [weights_hash(psnr.weights), weights_hash(gan.weights)]
    assert (card.alpha, card.role, card.halo) == (0.25, "blend", 5)
    assert card.licence == "CC0; MIT"
    assert card.attribution == ["Ada", "Bob", "Cyd"]
    assert "faithful" in card.name and "vivid" in card.name
    assert "outside" not in card.description
    assert (card.architecture, card.arguments, card.parameters) == (
        psnr.card.architecture,
        psnr.card.arguments,
        psnr.card.parameters,
    )


@pytest.mark.parametrize("alpha", [-0.01, 1.01, 3])
def test_an_alpha_beyond_its_parents_is_marked(alpha: float, make_model: Any) -> None:
    assert "outside 0 to 1" in blend(make_model(seed=1), make_model(seed=2), alpha).card.description


@pytest.mark.parametrize("alpha", [float("nan"), float("inf")])
def test_an_alpha_that_is_no_number_is_refused(alpha: float, make_model: Any) -> None:
    with pytest.raises(PellucidError, match="alpha"):
        blend(make_model(seed=1), make_model(seed=2), alpha)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ((MSRRESNET, MsrResNetArgs(features=8, blocks=1)), "one is compact, the other msrresnet"),
        ((COMPACT, CompactArgs(features=8, convolutions=3, scale=2)), "convolutions 2 against 3"),
        ((COMPACT, CompactArgs(features=8, convolutions=2, scale=4)), "scale 2 against 4"),
    ],
)
def test_models_of_different_networks_are_refused_with_the_difference(other: Any, words: str, make_model: Any) -> None:
    with pytest.raises(PellucidError) as caught:
        blend(make_model("one"), make_model("two", *other), 0.5)
    assert caught.value.code is Code.MODELS_DIFFER
    assert words in caught.value.message and "one and two" in caught.value.message


def test_foreign_models_blend_when_their_tensors_agree_and_are_refused_when_not(make_model: Any) -> None:
    def foreign(seed: int, **change: np.ndarray) -> Model:
        model = make_model(f"f{seed}", seed=seed)
        card = msgspec.structs.replace(model.card, architecture="foreign", arguments={})
        return Model(card, {**model.weights, **change})

    assert blend(foreign(1), foreign(2), 0.5).card.architecture == "foreign"
    with pytest.raises(PellucidError, match='only one has the tensor "extra"'):
        blend(foreign(1), foreign(2, extra=np.zeros(1, np.float32)), 0.5)
    with pytest.raises(PellucidError, match=r'"body.0.bias" is \(8,\)'):
        blend(foreign(1), foreign(2, **{"body.0.bias": np.zeros(9, np.float32)}), 0.5)


def test_different_ranges_are_never_mixed(make_model: Any) -> None:
    one, other = make_model("one"), make_model("two")
    shifted = Model(msgspec.structs.replace(other.card, output_range="-1..1"), other.weights)
    with pytest.raises(PellucidError) as caught:
        blend(one, shifted, 0.5)
    assert caught.value.code is Code.RANGE_MISMATCH


def test_classical_models_have_nothing_to_blend() -> None:
    bicubic = find_classical("bicubic")
    assert bicubic is not None
    with pytest.raises(PellucidError, match="no weights"):
        blend(bicubic, bicubic, 0.5)


def test_the_slider_works_in_place_and_allocates_nothing(make_model: Any) -> None:
    network = (COMPACT, CompactArgs(features=32, convolutions=4))
    psnr, gan = make_model("p", *network, seed=1), make_model("g", *network, seed=2)
    out = {name: np.empty_like(value) for name, value in psnr.weights.items()}
    addresses = {name: value.ctypes.data for name, value in out.items()}
    lerp_weights(psnr.weights, gan.weights, 0.3, out)
    tracemalloc.start()
    for alpha in (0.1, 0.9, 0.3):
        lerp_weights(psnr.weights, gan.weights, alpha, out)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    largest = max(value.nbytes for value in out.values())
    assert peak < largest // 2
    assert {name: value.ctypes.data for name, value in out.items()} == addresses
    assert weights_hash(out) == weights_hash(blend(psnr, gan, 0.3).weights)
