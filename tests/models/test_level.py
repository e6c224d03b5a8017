"""A levelled network lays no grid over flat areas, and does to real pictures what it did before."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from engine.errors import PellucidError
from engine.models.arch.compact import COMPACT, CompactArgs
from engine.models.level import _Layers, level, level_pair
from engine.models.model import Model, Weights

ARGS = CompactArgs(features=16, convolutions=4, scale=4)


@pytest.fixture
def trained(make_model: Any) -> Model:
    """A network as training leaves it: it hands on its picture, and each filter of its last layer errs on its own."""
    import torch

    torch.manual_seed(11)
    network = COMPACT.torch_module(ARGS)
    with torch.no_grad():
        last = [parameter for parameter in network.parameters() if parameter.dim() == 4][-1]
        last.add_(0.01 * torch.randn_like(last))
    weights = {name: value.detach().numpy().copy() for name, value in network.state_dict().items()}
    made = make_model(architecture=COMPACT, args=ARGS)
    return Model(made.card, weights)


def restore(weights: Weights, pictures: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """By torch, which knows nothing of the correction."""
    import torch

    network = COMPACT.torch_module(ARGS)
    network.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in weights.items()})
    with torch.no_grad():
        return np.asarray(network(torch.from_numpy(pictures)).numpy(), np.float32)


def ripple(weights: Weights, colours: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Spread of each channel within flat areas, of 255, far from their edges."""
    flat = np.ascontiguousarray(np.broadcast_to(colours[:, :, None, None], (*colours.shape, 24, 24)))
    inner = restore(weights, flat)[:, :, 40:56, 40:56]
    return np.asarray(inner.std(axis=(2, 3)) * 255)


def smooth_pictures(count: int) -> npt.NDArray[np.float32]:
    from PIL import Image

    random = np.random.default_rng(4)
    coarse = random.integers(0, 256, (count, 10, 10, 3), dtype=np.uint8)
    fine = [np.asarray(Image.fromarray(each).resize((48, 48), Image.Resampling.BICUBIC)) for each in coarse]
    noisy = np.stack(fine) / 255 + random.normal(0, 0.02, (count, 48, 48, 3))
    return np.ascontiguousarray(np.moveaxis(np.clip(noisy, 0, 1), -1, 1), np.float32)


def test_the_grid_on_flat_areas_goes_and_real_pictures_stay(trained: Model) -> None:
    pictures = smooth_pictures(6)
    levelled = level(trained, list(pictures[:4]))
    colours = np.random.default_rng(9).random((30, 3)).astype(np.float32)
    before, after = ripple(trained.weights, colours), ripple(levelled.weights, colours)
    assert np.median(before) > 0.5
    assert np.median(after) < 0.1 * np.median(before)
    unseen = pictures[4:]
    old, new = restore(trained.weights, unseen), restore(levelled.weights, unseen)
    assert np.abs(new - old).mean() * 255 < 2 * np.median(before)
    # What a filter makes of detail is left alone: the colour of an area does not move either.
    assert np.abs((new - old).mean(axis=(2, 3))).max() * 255 < 0.05


def test_a_half_whose_colours_drift_gets_the_mean_of_its_partner(trained: Model) -> None:
    random = np.random.default_rng(7)
    vivid = dict(trained.weights)
    drifting = {name: value + random.normal(0, 0.01, value.shape).astype(np.float32) for name, value in vivid.items()}
    pictures = smooth_pictures(6)
    faithful, matched = (half.weights for half in level_pair(trained, Model(trained.card, drifting), list(pictures)))
    inner = (slice(None), slice(None), slice(40, -40), slice(40, -40))  # edges see zeros around
    means = [restore(w, pictures)[inner].mean((0, 2, 3)) * 255 for w in (faithful, drifting, matched)]
    assert np.abs(means[1] - means[0]).max() > 2
    assert np.abs(means[2] - means[0]).max() < 0.1 * np.abs(means[1] - means[0]).max()
    changed = {name for name, value in matched.items() if not np.array_equal(value, drifting[name])}
    assert changed == {"body.10.weight", "body.10.bias"}


def test_each_half_looks_at_each_picture_once(trained: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0
    look = _Layers.of_picture

    def look_and_count(layers: _Layers, picture: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        nonlocal looks
        looks += 1
        return look(layers, picture)

    monkeypatch.setattr(_Layers, "of_picture", look_and_count)
    faithful, _ = level_pair(trained, trained, list(smooth_pictures(3)))
    assert looks == 2 * 3
    alone = level(trained, list(smooth_pictures(3)))
    assert all(np.array_equal(faithful.weights[name], value) for name, value in alone.weights.items())


def test_only_the_last_layer_changes(trained: Model) -> None:
    levelled = level(trained, list(smooth_pictures(2)))
    changed = {name for name in trained.weights if not np.array_equal(trained.weights[name], levelled.weights[name])}
    assert changed == {"body.10.weight", "body.10.bias"}
    assert levelled.card == trained.card


def test_another_network_is_refused_in_a_sentence(make_model: Any) -> None:
    from engine.models.arch import find_architecture

    other = find_architecture("msrresnet")
    model = make_model(architecture=other, args=other.read_arguments({"features": 8, "blocks": 1}))
    with pytest.raises(PellucidError, match="no compact network"):
        level(model, [])
