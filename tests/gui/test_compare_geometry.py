"""Where the compare view looks: zooming keeps the point under the pointer, panning never loses the picture."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gui.state import compare
from gui.state.compare import Compare

sizes = st.integers(1, 30000)


def looking(width: int, height: int, view: tuple[int, int] = (800, 600)) -> Compare:
    state = compare.reduce(Compare(), compare.ViewResized(*view))
    return compare.reduce(state, compare.DocumentShown(width, height))


def test_a_new_picture_is_shown_whole_and_in_the_middle() -> None:
    state = looking(4000, 1000)
    assert state.zoom == pytest.approx(0.2)
    assert compare.visible(state) == pytest.approx((0, 0, 4000, 1000))
    assert compare.to_view(state, 2000, 500) == pytest.approx((400, 300))


@given(sizes, sizes, st.floats(0.1, 10), st.floats(0, 800), st.floats(0, 600))
def test_zooming_keeps_the_point_under_the_pointer_unless_the_border_stops_it(
    width: int, height: int, factor: float, x: float, y: float
) -> None:
    state = compare.reduce(looking(width, height), compare.ZoomSet(1.0))
    before = compare.to_document(state, x, y)
    zoomed = compare.reduce(state, compare.Zoomed(factor, x, y))
    after = compare.to_document(zoomed, x, y)
    for axis, (length, view) in enumerate(((width, 800), (height, 600))):
        seen = view / zoomed.zoom
        low, high = (length / 2, length / 2) if seen >= length else (seen / 2, length - seen / 2)
        centre = (zoomed.centre_x, zoomed.centre_y)[axis]
        if low < centre < high:
            assert after[axis] == pytest.approx(before[axis], abs=1e-6 * max(1, length))


@given(sizes, sizes, st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.floats(0.01, 100))
def test_panning_never_shows_more_emptiness_than_it_must(
    width: int, height: int, dx: float, dy: float, zoom: float
) -> None:
    state = compare.reduce(looking(width, height), compare.ZoomSet(zoom))
    state = compare.reduce(state, compare.Panned(dx, dy))
    left, top, right, bottom = compare.visible(state)
    assert right - left == pytest.approx(min(width, 800 / state.zoom), rel=1e-6)
    assert bottom - top == pytest.approx(min(height, 600 / state.zoom), rel=1e-6)


def test_the_result_takes_the_place_of_the_source_without_a_jump() -> None:
    state = compare.reduce(looking(1000, 800), compare.Zoomed(4.0, 200, 100))
    shares = (state.centre_x / 1000, state.centre_y / 800)
    larger = compare.reduce(state, compare.DocumentShown(4000, 3200, keep=True))
    assert (larger.centre_x / 4000, larger.centre_y / 3200) == pytest.approx(shares)
    assert larger.zoom * 4000 == pytest.approx(state.zoom * 1000)


def test_resizing_the_window_keeps_a_fitted_picture_fitted() -> None:
    state = compare.reduce(looking(4000, 1000), compare.ViewResized(400, 400))
    assert state.zoom == pytest.approx(0.1)


@given(st.floats(1e-4, 100), st.integers(1, 12))
def test_the_drawn_level_is_shrunk_by_less_than_two_and_never_enlarged_needlessly(scale: float, levels: int) -> None:
    level = compare.level_for(scale, levels)
    assert 0 <= level < levels
    drawn = scale * 2**level
    assert drawn <= 1.0 or level == 0
    assert drawn > 0.5 or level == levels - 1


def test_the_divider_stays_inside() -> None:
    state = looking(100, 100)
    assert compare.reduce(state, compare.SplitMoved(1.7)).split == 1.0
    assert compare.reduce(state, compare.SplitMoved(-3)).split == 0.0
