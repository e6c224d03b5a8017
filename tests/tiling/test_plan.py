"""The plan of tiles keeps its promises for every picture size, halo and multiple."""

from __future__ import annotations

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from engine.tiling.plan import Axis, Plan, plan_bytes, plan_tiles

lengths = st.integers(1, 700)
halos = st.integers(0, 70)
multiples = st.sampled_from([1, 2, 3, 4, 8, 16])
tiles = st.integers(1, 400)


def cover(axis: Axis) -> list[int]:
    seen = [0] * axis.length
    for span in axis.spans:
        for position in range(span.start, span.stop):
            seen[position] += 1
    return seen


def check_axis(axis: Axis, halo: int, multiple: int, wrap: bool) -> None:
    assert cover(axis) == [1] * axis.length, "every pixel belongs to exactly one core"
    reach = -(-halo // multiple) * multiple
    assert len({span.read for span in axis.spans}) == 1, "all reads are equally long"
    for span in axis.spans:
        assert span.core > 0
        assert span.read % multiple == 0
        assert span.read_start % multiple == 0
        assert axis.first <= span.read_start <= span.start
        assert span.stop <= span.read_stop <= axis.last
        if wrap:
            assert span.start - span.read_start >= halo
            assert span.read_stop - span.stop >= halo
            assert axis.first == -reach
        else:
            assert axis.first == 0
            assert axis.last - axis.length < multiple
            assert span.start - span.read_start >= min(halo, span.start)
            assert span.read_stop - span.stop >= min(halo, axis.length - span.stop)


@settings(max_examples=300, deadline=None)
@given(lengths, lengths, halos, multiples, tiles, st.booleans())
def test_every_pixel_lies_in_exactly_one_core_with_its_whole_halo(
    height: int, width: int, halo: int, multiple: int, tile: int, wrap: bool
) -> None:
    plan = plan_tiles(height, width, halo=halo, multiple=multiple, tile=tile, wrap=wrap)
    check_axis(plan.rows, halo, multiple, wrap)
    check_axis(plan.columns, halo, multiple, wrap)
    assert plan == plan_tiles(height, width, halo=halo, multiple=multiple, tile=tile, wrap=wrap)


@settings(max_examples=300, deadline=None)
@given(lengths, lengths, halos, multiples, st.integers(1, 500), st.booleans())
def test_reads_of_one_given_side_keep_the_same_promises(
    height: int, width: int, halo: int, multiple: int, side: int, wrap: bool
) -> None:
    plan = plan_tiles(height, width, halo=halo, multiple=multiple, read_side=side, wrap=wrap)
    for axis in (plan.rows, plan.columns):
        check_axis(axis, halo, multiple, wrap)
        fitting = side // multiple * multiple
        if fitting >= 2 * -(-halo // multiple) * multiple + 16 and fitting >= 16 + multiple:
            assert axis.read == min(fitting, axis.last - axis.first)


@settings(max_examples=100, deadline=None)
@given(lengths, halos, multiples, tiles)
def test_no_read_exceeds_the_tile_and_its_halo(length: int, halo: int, multiple: int, tile: int) -> None:
    plan = plan_tiles(length, length, halo=halo, multiple=multiple, tile=tile)
    reach = -(-halo // multiple) * multiple
    assert plan.rows.spans[0].read <= -(-tile // multiple) * multiple + 2 * reach


@settings(max_examples=100, deadline=None)
@given(
    st.integers(1, 3000),
    st.integers(1, 3000),
    st.sampled_from([0, 8, 18, 64]),
    st.sampled_from([1, 8]),
    st.booleans(),
    st.sampled_from([1, 2, 7, 16]),
    st.sampled_from([0, 20_000_000, 200_000_000]),
    st.sampled_from([0, 192]),
)
def test_a_chosen_plan_is_valid_and_within_its_memory(
    height: int, width: int, halo: int, multiple: int, wrap: bool, streams: int, memory: int, best_side: int
) -> None:
    plan = plan_tiles(
        height,
        width,
        halo=halo,
        multiple=multiple,
        wrap=wrap,
        streams=streams,
        memory=memory,
        bytes_per_pixel=1000.0,
        best_side=best_side,
    )
    check_axis(plan.rows, halo, multiple, wrap)
    check_axis(plan.columns, halo, multiple, wrap)
    if memory:
        used = plan_bytes(plan, scale=4, streams=streams, bytes_per_pixel=1000.0)
        # The smallest tiles of this halo are what it can come down to at most.
        side = 2 * halo + 64
        assert used <= max(memory, streams * side * side * 2000 + width * 64 * 192)


@settings(max_examples=200, deadline=None)
@given(lengths, lengths, halos, multiples, tiles, st.booleans(), st.integers(0, 10_000))
def test_a_tile_out_of_memory_is_covered_by_smaller_ones(
    height: int, width: int, halo: int, multiple: int, tile: int, wrap: bool, pick: int
) -> None:
    plan = plan_tiles(height, width, halo=halo, multiple=multiple, tile=tile, wrap=wrap)
    whole = list(plan.tiles())[pick % len(plan)]
    parts = plan.quarter(whole)
    assume(parts)
    seen = np.zeros((height, width), dtype=np.int64)
    for part in parts:
        seen[part.rows.start : part.rows.stop, part.columns.start : part.columns.stop] += 1
        assert part.read_pixels < whole.read_pixels
        for axis, span in ((plan.rows, part.rows), (plan.columns, part.columns)):
            assert axis.first <= span.read_start <= span.start < span.stop <= span.read_stop <= axis.last
            assert span.read_start % multiple == span.read_stop % multiple == 0
            if not wrap:
                assert span.start - span.read_start >= min(halo, span.start)
                assert span.read_stop - span.stop >= min(halo, axis.length - span.stop)
    inside = seen[whole.rows.start : whole.rows.stop, whole.columns.start : whole.columns.stop]
    assert (inside == 1).all()
    assert seen.sum() == inside.sum()


def test_dividing_again_and_again_ends() -> None:
    plan = plan_tiles(500, 500, halo=8, tile=500)
    waiting, rounds = list(plan.tiles()), 0
    while waiting:
        waiting = [part for tile in waiting for part in plan.quarter(tile)]
        rounds += 1
        assert rounds < 8


def test_a_picture_that_fits_one_tile_a_stream_is_cut_once_a_stream() -> None:
    plan = plan_tiles(1000, 1000, halo=16, streams=2)
    assert len(plan) == 2
    assert plan.read_pixels == 1000 * (1000 + 2 * 16)


def test_the_last_tile_is_as_full_as_the_others() -> None:
    """A width one pixel over a multiple of the tile side is the peers' worst case."""
    plan = plan_tiles(513, 513, halo=10, tile=128)
    cores = [span.core for span in plan.rows.spans]
    assert min(cores) > 0.8 * max(cores)


def test_the_remainder_of_the_width_is_never_lost() -> None:
    """A peer divides 4000 columns by its tile count, drops the remainder and leaves 40 columns black."""
    for width in range(3990, 4010):
        plan = plan_tiles(30, width, halo=0, tile=440)
        assert plan.columns.spans[-1].stop == width


def test_the_largest_picture_is_planned_quickly() -> None:
    import time

    started = time.process_time()
    plan = plan_tiles(7500, 7500, halo=16, streams=8, memory=1 << 29, bytes_per_pixel=4400.0)
    assert time.process_time() - started < 2.0
    assert isinstance(plan, Plan)
