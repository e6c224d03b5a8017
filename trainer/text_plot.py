"""A run drawn with characters: how far it is, its loss and its scores as charts, what there is to say."""

from __future__ import annotations

import math
from collections.abc import Sequence

from trainer.curves import Story, stretch_means

BLOCKS = " ▁▂▃▄▅▆▇█"
LEVELS = len(BLOCKS) - 1
LABEL = 10
"""Columns left of a chart, for its highest and lowest value."""
HEIGHT, HIGHEST = 6, 8
"""Lines of a chart where nothing limits them, and at most."""
SETTLED = 0.05
"""Share of the losses, from the first, that may rise above the chart: they would press the rest flat."""


def draw_story(story: Story, width: int, lines: int = 0) -> str:
    """`width`: columns; `lines`: how many there are for all of it, 0: as many as it takes."""
    if not lines:
        return "\n".join(_draw(story, width, HEIGHT))
    drawings = (_draw(story, width, height) for height in range(HIGHEST, 1, -1))
    fitting = next((drawing for drawing in drawings if len(drawing) <= lines), _draw(story, width, 2))
    return "\n".join(fitting[:lines])


def _draw(story: Story, width: int, height: int) -> list[str]:
    """Lines, the highest first; `height`: of a chart of losses."""
    plot = max(20, width - LABEL - 2)
    lines = [_headline(story), _progress(story, plot)]
    series = story.series()
    for name in ("loss/total", "loss/discriminator"):
        points = series.get(name, [])
        if points:
            means = stretch_means([value for _, value in points], plot)
            settled = means[math.floor(len(means) * SETTLED) :]
            lines += ["", f"{name} {points[-1][1]:.4g}"]
            lines += chart(means, plot, height, min(settled), max(settled))
    for name in sorted(name for name in series if name.startswith("validation/")):
        values = [value for _, value in series[name]]
        baseline = series.get(name.replace("validation/", "baseline/"), [(0, math.nan)])[-1][1]
        lines += ["", f"{name} {values[-1]:.4f}   bicubic {baseline:.4f} ({values[-1] - baseline:+.4f})"]
        known = [value for value in (*values, baseline) if math.isfinite(value)]
        lines += chart(values, plot, max(2, height // 2), min(known), max(known))
    return [*lines, *(["", *(f"! {text}" for text in story.warnings[-3:])] if story.warnings else [])]


def _headline(story: Story) -> str:
    parts = [story.state, f"{story.iteration}/{story.iterations}"]
    if story.progress and story.state == "running":
        last = story.progress[-1]
        parts.append(f"{last.iterations_per_second:.2f} steps/s")
        parts.append(f"rate {last.learning_rate:.1e}")
        parts.append(f"waiting for data {last.loader_wait:.0%}")
        parts.append(f"{last.memory_mb / 1024:.1f} GiB")
    if story.sentence:
        parts.append(story.sentence)
    return "  ".join(parts)


def _progress(story: Story, width: int) -> str:
    done = min(1.0, story.iteration / max(story.iterations, 1))
    eighths = round(done * width * LEVELS)
    full, rest = divmod(eighths, LEVELS)
    bar = "█" * full + (" ▏▎▍▌▋▊▉"[rest] if rest else "")
    left = story.seconds_left if story.state in ("running", "paused") else None
    return f"{done:>{LABEL}.0%} │{bar:<{width}}│" + (f" {_clock(left)} left" if left else "")


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"


def chart(values: Sequence[float], width: int, height: int, low: float, high: float) -> list[str]:
    """`height` lines, the highest first; each column is the mean of an equal stretch, drawn in eighths of a line."""
    columns = stretch_means(values, width)
    spread = (high - low) or 1.0
    # The lowest value is still a line: an empty column would look like none.
    heights = [1 + round((min(max(value, low), high) - low) / spread * (height * LEVELS - 1)) for value in columns]
    lines = []
    for row in range(height - 1, -1, -1):
        label = high if row == height - 1 else low if row == 0 else None
        blocks = "".join(BLOCKS[min(max(tall - row * LEVELS, 0), LEVELS)] for tall in heights)
        lines.append(f"{'' if label is None else f'{label:.4g}':>{LABEL}} │{blocks}")
    return lines
