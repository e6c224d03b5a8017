"""Notices when a training goes wrong while its numbers still look like numbers, and says so in one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.wire_training import SafetyConfig

_MEMORY = 0.99
"""Weight of the past in the running means: about the last hundred steps."""
_SETTLING = 200
"""Steps before the running mean of colours is believed."""
_CLOSE = 0.8
"""Of a limit: too close to it to be returned to."""
_STILL_DB, _STILL_TIMES = 1e-3, 2
"""A network that learns moves its validation by more than this; so many times in a row it did not: it stands still."""


class Watchdog:
    """Looks at every step and every validation. Its memory is part of a checkpoint."""

    def __init__(self, config: SafetyConfig) -> None:
        self._config = config
        self.reset()

    def reset(self) -> None:
        """Forget everything: a new stage."""
        self._steps = 0
        self._shift = [0.0, 0.0, 0.0]
        self._sure_for = 0
        self._best: float | None = None
        self._last: float | None = None
        self._still = 0

    def see_step(self, losses: Mapping[str, float], colour_shift: tuple[float, float, float]) -> str | None:
        """A sentence when the run should be rolled back."""
        self._steps += 1
        memory = min(_MEMORY, 1.0 - 1.0 / self._steps)
        self._shift = [memory * old + (1 - memory) * new for old, new in zip(self._shift, colour_shift, strict=True)]
        limit = self._config.colour_drift / 255.0
        if limit and self._steps >= _SETTLING:
            worst = max(range(3), key=lambda channel: abs(self._shift[channel]))
            if abs(self._shift[worst]) > limit:
                colour, direction = ("red", "green", "blue")[worst], "more" if self._shift[worst] > 0 else "less"
                return (
                    f"The colours have drifted: the output has {abs(self._shift[worst]) * 255:.1f}/255 {direction} "
                    f"{colour} than the target on average."
                )
        if "accuracy_real" in losses:
            accuracy = (losses["accuracy_real"] + losses["accuracy_fake"]) / 2
            self._sure_for = self._sure_for + 1 if accuracy >= self._config.discriminator_accuracy else 0
            if self._sure_for >= self._config.patience:
                return (
                    f"The discriminator has told every picture right for {self._sure_for} steps: "
                    "the generator learns nothing from it any more."
                )
        return None

    def see_validation(self, psnr: float | None) -> str | None:
        """A sentence when the run should be rolled back."""
        if psnr is None:
            return None
        best = psnr if self._best is None else max(self._best, psnr)
        self._best = best
        if self._config.validation_drop and best - psnr > self._config.validation_drop:
            return f"Validation has fallen to {psnr:.2f} dB, from {best:.2f} dB at its best."
        return None

    def see_standstill(self, psnr: float | None, bicubic: float | None) -> str | None:
        """A sentence, once, when the network has died: no roll-back would revive it."""
        if psnr is None or bicubic is None:
            return None
        stands = self._last is not None and abs(psnr - self._last) < _STILL_DB and psnr < bicubic
        self._last = psnr
        self._still = self._still + 1 if stands else 0
        if self._still != _STILL_TIMES:
            return None
        return (
            f"The network has stopped learning: validation stands still at {psnr:.2f} dB, below the "
            f"{bicubic:.2f} dB of a bicubic enlargement. Stop it, and start anew with a lower learning rate."
        )

    def is_calm(self, psnr: float | None) -> bool:
        """Whether the run, as it stands after a validation, is a place to return to: close to a limit is not. A GAN
        lowers PSNR and shifts colours for good; well within the limits that is no reason against it."""
        config = self._config
        fallen = psnr is not None and self._best is not None and self._best - psnr > _CLOSE * config.validation_drop
        drifted = max(abs(shift) for shift in self._shift) > _CLOSE * config.colour_drift / 255.0
        return not (
            (config.validation_drop and fallen)
            or (config.colour_drift and self._steps >= _SETTLING and drifted)
            or self._sure_for > _CLOSE * config.patience
        )

    def after_a_roll_back(self) -> dict[str, Any]:
        """Its memory with nothing in it but the best validation: that is not undone by returning."""
        best = self._best
        self.reset()
        self._best = best
        return self.state_dict()

    def state_dict(self) -> dict[str, Any]:
        return {
            "steps": self._steps,
            "shift": self._shift,
            "sure_for": self._sure_for,
            "best": self._best,
            "last": self._last,
            "still": self._still,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._steps = state["steps"]
        self._shift = list(state["shift"])
        self._sure_for = state["sure_for"]
        self._best = state["best"]
        self._last = state.get("last")
        self._still = state.get("still", 0)
