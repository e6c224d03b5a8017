"""Network interpolation: (1 - alpha) * psnr + alpha * gan, over every parameter and buffer."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from engine.errors import Code, PellucidError
from engine.models.card import Card
from engine.models.files import CLASSICAL, MAX_NAME_LENGTH, weights_hash
from engine.models.model import Model, Weights

NEVER_NEGATIVE = "running_var"
COUNTERS = "num_batches_tracked"


def blend(psnr: Model, gan: Model, alpha: float, hashes: tuple[str, str] | None = None) -> Model:
    """0 the first model, 1 the second, between: the mix; outside: extrapolated, and the card says so.

    hashes: of both models' weights, where they are known: they take longer than all the rest.
    """
    check_blendable(psnr, gan)
    if not math.isfinite(alpha):
        raise PellucidError(Code.USAGE, f"The blend's alpha must be a number, not {alpha}.", "Try 0.25.")
    return Model(_card_of_blend(psnr, gan, alpha, hashes), BlendedWeights(psnr.weights, gan.weights, alpha))


class BlendedWeights(Mapping[str, npt.NDArray[np.float32]]):
    """The blend of two sets of weights, computed when first looked at: a session that holds both halves where it
    computes mixes them there, and never looks."""

    def __init__(self, first: Weights, second: Weights, alpha: float) -> None:
        self.first = first
        self.second = second
        self.alpha = alpha
        self._lock = threading.Lock()
        self._mixed: dict[str, npt.NDArray[np.float32]] | None = None

    def __getitem__(self, name: str) -> npt.NDArray[np.float32]:
        with self._lock:
            if self._mixed is None:
                mixed = {key: np.empty_like(value, dtype=np.float32) for key, value in self.first.items()}
                lerp_weights(self.first, self.second, self.alpha, mixed)
                self._mixed = mixed
        return self._mixed[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.first)

    def __len__(self) -> int:
        return len(self.first)

    def shape_of(self, name: str) -> tuple[int, ...]:
        """Without mixing anything."""
        return self.first[name].shape


def lerp_weights(a: Weights, b: Weights, alpha: float, out: Mapping[str, npt.NDArray[np.float32]]) -> None:
    """out = a + alpha * (b - a), tensor by tensor in float32, allocating nothing; exactly a at 0 and b at 1."""
    for name, target in out.items():
        first, second = a[name], b[name]
        if alpha == 0 or name.endswith(COUNTERS):
            np.copyto(target, first)
        elif alpha == 1:
            np.copyto(target, second)
        else:
            np.subtract(second, first, out=target)
            np.multiply(target, np.float32(alpha), out=target)
            np.add(target, first, out=target)
            if name.endswith(NEVER_NEGATIVE):
                np.maximum(target, 0, out=target)


def check_blendable(psnr: Model, gan: Model) -> None:
    """Raise, with a sentence that names the difference, unless the two are the same network."""
    one, other = psnr.card, gan.card
    pair = f"{one.name} and {other.name} cannot be blended"
    hint = "Blend two models trained from the same network, such as a PSNR and a GAN stage."
    for card in (one, other):
        if card.architecture in CLASSICAL:
            raise PellucidError(Code.MODELS_DIFFER, f"{pair}: {card.name} has no weights.", hint)
    if one.architecture != other.architecture:
        raise PellucidError(
            Code.MODELS_DIFFER, f"{pair}: one is {one.architecture}, the other {other.architecture}.", hint
        )
    if (one.scale, one.arguments) != (other.scale, other.arguments):
        keys = sorted(key for key in one.arguments if one.arguments[key] != other.arguments.get(key))
        differ = ", ".join(f"{key} {one.arguments[key]} against {other.arguments.get(key)}" for key in keys)
        differ = differ or f"scale {one.scale} against {other.scale}"
        raise PellucidError(Code.MODELS_DIFFER, f"{pair}: they differ in {differ}.", hint)
    if (one.input_range, one.output_range) != (other.input_range, other.output_range):
        raise PellucidError(
            Code.RANGE_MISMATCH,
            f"{pair}: one gives pictures {one.output_range}, the other {other.output_range}.",
            hint,
        )
    for name in sorted(psnr.weights.keys() ^ gan.weights.keys()):
        raise PellucidError(Code.MODELS_DIFFER, f'{pair}: only one has the tensor "{name}".', hint)
    for name, value in psnr.weights.items():
        if value.shape != gan.weights[name].shape:
            raise PellucidError(
                Code.MODELS_DIFFER, f'{pair}: "{name}" is {value.shape} in one, {gan.weights[name].shape} in the other.'
            )


def _card_of_blend(psnr: Model, gan: Model, alpha: float, hashes: tuple[str, str] | None) -> Card:
    one, other = psnr.card, gan.card
    beyond = "" if 0 <= alpha <= 1 else " Alpha lies outside 0 to 1: this is an extrapolation beyond its parents."
    licences = list(dict.fromkeys(card.licence for card in (one, other) if card.licence))
    return Card(
        name=f"{one.name[:50]} + {other.name[:50]} {alpha:.4g}"[:MAX_NAME_LENGTH],
        architecture=one.architecture,
        arguments=one.arguments,
        scale=one.scale,
        input_range=one.input_range,
        output_range=one.output_range,
        parameters=one.parameters,
        halo=None if one.halo is None or other.halo is None else max(one.halo, other.halo),
        bad_precisions=sorted({*one.bad_precisions, *other.bad_precisions}),
        licence="; ".join(licences),
        attribution=list(dict.fromkeys([*one.attribution, *other.attribution])),
        description=f"{1 - alpha:.4g} of {one.name} and {alpha:.4g} of {other.name}.{beyond}",
        role="blend",
        parents=list(hashes or (weights_hash(psnr.weights), weights_hash(gan.weights))),
        alpha=alpha,
    )
