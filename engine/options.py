"""What restore options may say: checked where a job begins, whoever made the request."""

from __future__ import annotations

from collections.abc import Callable

from engine.errors import Code, PellucidError
from engine.wire import RestoreOptions


def check_options(options: RestoreOptions, spell: Callable[[str], str] = "The option {}".format) -> None:
    """Raises PellucidError(USAGE) with the name, the value and the limits of the first that cannot be.

    `spell`: what the user knows an option by, from its name here.
    """
    size = options.size
    box = size.fit or (None, None)
    for name, value, low, high in (
        ("strength", options.strength, 0, 1),
        ("alpha", options.alpha, -10, 10),
        ("quality", options.quality, 1, 100),
        ("size.scale", size.scale, 0.05, 64),
        ("size.width", size.width, 1, 1_000_000),
        ("size.height", size.height, 1, 1_000_000),
        ("size.fit", box[0], 1, 1_000_000),
        ("size.fit", box[1], 1, 1_000_000),
        ("tile", options.tile or None, 16, 100_000),
        ("halo", options.halo, 0, 4096),
        ("max_megapixels", options.max_megapixels, 0.000001, 1_000_000),
    ):
        if value is not None and not low <= value <= high:
            # Cut, not rounded: a whole number of hundreds of digits fits into no float.
            raise PellucidError(
                Code.USAGE,
                f"{spell(name)} is {str(value)[:20]}; it goes from {low:.10g} to {high:.10g}.",
                option=name,
            )
    for name, text in (("model", options.model), ("partner", options.partner), ("name", options.name)):
        if len(text) > 1000 or "\0" in text:
            raise PellucidError(Code.USAGE, f"{spell(name)} is too long or holds a zero byte.", option=name)
