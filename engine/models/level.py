"""Takes out of a compact network the fine grid that it lays over flat areas, and the drift of a vivid one's colours.

Its last convolution makes the scale x scale pixels of one input pixel by as many filters that know nothing of each
other; trained for a while, they still differ a little in the mean, and a flat area shows it as a pattern that repeats
with every input pixel. On a flat colour every layer is a small matrix, so how far the filters differ is known exactly
for every colour, and the correction of the last convolution that makes them agree is a least-squares problem. On real
pictures it has to change next to nothing: they are the other half of the same problem.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from engine.errors import Code, PellucidError
from engine.models.arch.compact import COMPACT, CompactArgs
from engine.models.model import Model, Weights

Floats = npt.NDArray[np.float64]

COLOURS_A_SIDE = 15
"""Colours on a grid through the whole cube."""
REAL_PICTURES = 0.003
"""Weight of leaving real pictures as they are. Larger: more of the grid stays."""
CROP = 64
"""Side of what is looked at of each real picture; more only takes longer."""


def level(model: Model, pictures: Sequence[npt.NDArray[np.float32]]) -> Model:
    """The same model with its last convolution corrected. `pictures`: (3, h, w), 0..1, such as it restores."""
    return _level(model, pictures)[0]


def level_pair(faithful: Model, vivid: Model, pictures: Sequence[npt.NDArray[np.float32]]) -> tuple[Model, Model]:
    """Both levelled, and the vivid one's biases moved so that it gives these pictures the mean colour that the faithful
    one gives them: what it drifts in the mean on its way to livelier detail is no detail."""
    (faithful, wanted), (vivid, drifted) = _level(faithful, pictures), _level(vivid, pictures)
    name = _Layers(vivid.weights, _args(vivid)).last_name + ".bias"
    moved = np.repeat(wanted - drifted, len(vivid.weights[name]) // 3)
    return faithful, Model(vivid.card, {**vivid.weights, name: (vivid.weights[name] + moved).astype(np.float32)})


def _args(model: Model) -> CompactArgs:
    args = COMPACT.read_arguments(model.card.arguments)
    assert isinstance(args, CompactArgs)
    return args


def _level(model: Model, pictures: Sequence[npt.NDArray[np.float32]]) -> tuple[Model, Floats]:
    """The corrected model, and the mean colour that it gives the pictures."""
    if model.card.architecture != COMPACT.id:
        raise PellucidError(
            Code.MODEL_UNSUPPORTED, f"{model.card.name} is no compact network: only those can be levelled."
        )
    args = _args(model)
    layers = _Layers(model.weights, args)
    side = np.linspace(0.0, 1.0, COLOURS_A_SIDE)
    colours = np.stack(np.meshgrid(side, side, side, indexing="ij"), axis=-1).reshape(-1, 3)
    flat = _with_one(layers.of_flat(colours))
    features = np.concatenate([layers.of_picture(_middle(picture)) for picture in pictures])
    real = _with_one(features)
    weight, bias = layers.last
    made = flat @ np.concatenate([weight.sum((2, 3)), bias[:, None]], axis=1).T
    one_colour = made.reshape(-1, 3, args.scale**2)
    wrong = made - np.broadcast_to(one_colour.mean(2, keepdims=True), one_colour.shape).reshape(made.shape)
    problem = flat.T @ flat / len(flat) + REAL_PICTURES * real.T @ real / len(real)
    # A feature that is always zero has no say.
    problem += 1e-9 * np.trace(problem) / len(problem) * np.eye(len(problem))
    change = -np.linalg.solve(problem, flat.T @ wrong / len(flat)).T
    corrected = dict(model.weights)
    corrected[layers.last_name + ".weight"] = (weight + change[:, :-1, None, None] / 9).astype(np.float32)
    corrected[layers.last_name + ".bias"] = (bias + change[:, -1]).astype(np.float32)
    weight, bias = _Layers(corrected, args).last
    mean = (weight.sum((2, 3)) @ features.mean(0) + bias).reshape(3, -1).mean(1)
    return Model(model.card, corrected), mean


class _Layers:
    """The network up to its last convolution, in float64."""

    def __init__(self, weights: Weights, args: CompactArgs) -> None:
        self.last_name = f"body.{2 * args.convolutions + 2}"
        named = {name: value.astype(np.float64) for name, value in weights.items()}
        self.last = named[self.last_name + ".weight"], named[self.last_name + ".bias"]
        self._convolutions = [
            (named[f"body.{place}.weight"], named[f"body.{place}.bias"], named[f"body.{place + 1}.weight"])
            for place in range(0, 2 * args.convolutions + 2, 2)
        ]

    def of_flat(self, colours: Floats) -> Floats:
        """(n, 3) -> (n, features), of areas of one colour."""
        x = colours
        for weight, bias, slope in self._convolutions:
            x = x @ weight.sum((2, 3)).T + bias
            x = np.where(x > 0, x, slope * x)
        return x

    def of_picture(self, picture: Floats) -> Floats:
        """(3, h, w) -> (pixels, features): means of 3x3 features, as the last convolution sees them."""
        x = np.moveaxis(picture, 0, -1)
        for weight, bias, slope in self._convolutions:
            x = _windows(x) @ weight.transpose(0, 2, 3, 1).reshape(len(weight), -1).T + bias
            x = np.where(x > 0, x, slope * x)
        nine: Floats = _windows(x).reshape(*x.shape[:2], 9, x.shape[2])
        mean: Floats = nine.mean(axis=2)
        return mean.reshape(-1, x.shape[2])


def _windows(x: Floats) -> Floats:
    """(h, w, channels) -> (h, w, 9 * channels): each pixel with its neighbours, zeros beyond the edge."""
    height, width = x.shape[:2]
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
    return np.concatenate([padded[r : r + height, c : c + width] for r in range(3) for c in range(3)], axis=-1)


def _middle(picture: npt.NDArray[np.float32]) -> Floats:
    top, left = (max((side - CROP) // 2, 0) for side in picture.shape[1:])
    return picture[:, top : top + CROP, left : left + CROP].astype(np.float64)


def _with_one(features: Floats) -> Floats:
    return np.concatenate([features, np.ones((len(features), 1))], axis=1)
