from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from kernels.degrade import degrade, philox
from kernels.ops import OP, Noise, Opcode

SIDE = 512  # 786,432 draws a picture


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_philox_gives_the_published_answers(counter: Any, key: Any, words: Any) -> None:
    assert philox(counter, key) == words


def gaussian(run: Any, op: Any, kind: Noise = Noise.COLOUR, sigma: float = 0.05, **where: Any) -> Any:
    flat = np.full((3, SIDE, SIDE), 0.5, np.float32)
    stage = where.pop("stage", 0)
    noisy = run(flat, op(Opcode.GAUSSIAN_NOISE, (kind,), (sigma,), stage), **where)
    return (noisy.astype(np.float64) - 0.5) / sigma


def test_gaussian_moments_and_distribution(run: Any, op: Any) -> None:
    z = gaussian(run, op).ravel()
    n = z.size
    assert abs(z.mean()) < 4 / np.sqrt(n)
    assert abs(z.var() - 1) < 4 * np.sqrt(2 / n)
    assert abs(stats.skew(z)) < 4 * np.sqrt(6 / n)
    assert abs(stats.kurtosis(z)) < 4 * np.sqrt(24 / n)
    assert stats.kstest(z, "norm").pvalue > 1e-3


def test_gaussian_values_do_not_know_their_neighbours(run: Any, op: Any) -> None:
    z = gaussian(run, op)
    limit = 4.5 / np.sqrt(z.size)
    for step in ((0, 1), (1, 0), (1, 1), (2, 0), (4, 0), (0, 16)):
        shifted = np.roll(z, step, axis=(1, 2))
        assert abs((z * shifted).mean()) < limit, step
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert abs((z[a] * z[b]).mean()) < 4.5 / np.sqrt(z[0].size)


def test_seed_sample_and_stage_each_make_other_noise(run: Any, op: Any) -> None:
    first = gaussian(run, op)
    np.testing.assert_array_equal(first, gaussian(run, op))
    for other in ({"seed": 8}, {"sample": 4}, {"stage": 1}, {"seed": 7 + (1 << 32)}, {"sample": 3 + (1 << 32)}):
        z = gaussian(run, op, **other)
        assert abs((z * first).mean()) < 4.5 / np.sqrt(z.size), other


def test_grey_noise_is_one_field_for_the_planes_and_another_for_each_sample(op: Any) -> None:
    flat = np.full((2, 3, 64, 64), 0.5, np.float32)
    record = op(Opcode.GAUSSIAN_NOISE, (Noise.GREY,), (0.1,))
    a, b = degrade(flat, np.array([[record], [record]], OP), 1, [10, 11])
    np.testing.assert_array_equal(a[0], a[1])
    np.testing.assert_array_equal(a[0], a[2])
    assert abs(np.corrcoef(a[0].ravel(), b[0].ravel())[0, 1]) < 4.5 / 64


def test_correlated_noise_has_the_covariance_asked_for(run: Any, op: Any) -> None:
    factor = np.array([[1.0, 0, 0], [0.6, 0.8, 0], [-0.3, 0.2, 0.5]])
    flat = np.full((3, SIDE, SIDE), 0.5, np.float32)
    lower = factor[np.tril_indices(3)]
    noisy = run(flat, op(Opcode.GAUSSIAN_NOISE, (Noise.CORRELATED,), (0.05, *lower)))
    z = (noisy.astype(np.float64) - 0.5).reshape(3, -1) / 0.05
    np.testing.assert_allclose(np.cov(z), factor @ factor.T, atol=0.01)


@pytest.mark.parametrize("level", [1, 3, 10, 40, 128, 200, 250])
def test_poisson_counts_follow_the_law(level: int, run: Any, op: Any) -> None:
    scale = np.float32(1 / 64)  # small, so that nothing is clipped
    flat = np.full((3, 320, 320), level / 255, np.float32)
    noisy = run(flat, op(Opcode.POISSON_NOISE, (Noise.COLOUR, 256), (scale,)), sample=level)
    counts = np.rint(((noisy.astype(np.float64) - level / 255) * 64 + level / 255) * 256).astype(int).ravel()
    mean = level * 256 / 255
    n = counts.size
    assert abs(counts.mean() - mean) < 4 * np.sqrt(mean / n)
    assert abs(counts.var() - mean) < 4 * np.sqrt((2 * mean**2 + mean) / n)
    low, high = int(stats.poisson.ppf(1e-4, mean)), int(stats.poisson.ppf(1 - 1e-4, mean))
    law = stats.poisson(mean)
    expected = np.array([law.cdf(low), *law.pmf(np.arange(low + 1, high)), law.sf(high - 1)]) * n
    observed = np.bincount(np.clip(counts, low, high) - low, minlength=high - low + 1)
    assert stats.chisquare(observed, expected).pvalue > 1e-3


def test_poisson_counts_the_levels_that_occur(run: Any, op: Any) -> None:
    rng = np.random.default_rng(0)
    for distinct, levels in ((1, 1), (2, 2), (3, 4), (5, 8), (40, 64), (128, 128), (129, 256), (256, 256)):
        palette = rng.choice(256, distinct, replace=False)
        indices = np.concatenate([np.arange(distinct), rng.integers(0, distinct, 3 * 24 * 24 - distinct)])
        picture = (palette[indices] / np.float32(255)).astype(np.float32).reshape(3, 24, 24)
        counted = run(picture, op(Opcode.POISSON_NOISE, (Noise.COLOUR, 0), (1.0,)))
        told = run(picture, op(Opcode.POISSON_NOISE, (Noise.COLOUR, levels), (1.0,)))
        np.testing.assert_array_equal(counted, told, err_msg=f"{distinct} levels")


def test_grey_poisson_adds_the_same_to_every_plane(run: Any, op: Any) -> None:
    picture = np.random.default_rng(3).uniform(0.4, 0.6, (3, 50, 50)).astype(np.float32)
    added = run(picture, op(Opcode.POISSON_NOISE, (Noise.GREY, 256), (0.5,))) - picture
    np.testing.assert_allclose(added[0], added[1], atol=1e-7)
    np.testing.assert_allclose(added[0], added[2], atol=1e-7)
    assert 0.01 < added[0].std() < 0.05


def test_black_stays_black_under_poisson_noise(run: Any, op: Any) -> None:
    black = np.zeros((3, 30, 30), np.float32)
    np.testing.assert_array_equal(run(black, op(Opcode.POISSON_NOISE, (Noise.COLOUR, 256), (3.0,))), black)
