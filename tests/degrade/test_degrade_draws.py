"""Every drawn choice against the recipe's probabilities and ranges: chi-square and Kolmogorov-Smirnov, seeds fixed."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from engine.degrade.draw import draw_plan
from engine.degrade.recipe import load_recipe, parse_recipe
from kernels.ops import Blur, Noise, Opcode

COUNT = 40_000
SMALLEST_P = 1e-4  # some eighty comparisons with fixed seeds: one in a hundred such files would fail by chance
MODEST_SIZE = 400


def draws(name_or_toml, count=COUNT, size=MODEST_SIZE, seed=2024):
    recipe = parse_recipe(name_or_toml) if "\n" in name_or_toml else load_recipe(name_or_toml)
    return draw_plan(recipe, seed, np.arange(count), size, size)


def named(plan, name):
    """(sample rows, records) of the operations that a stage of this name left."""
    stages = [stage for stage, known in plan.stage_names.items() if known == name]
    hit = np.isin(plan.damage["stage"], stages) & (plan.damage["opcode"] != Opcode.END)
    return np.nonzero(hit)[0], plan.damage[hit]


def agree(counts, probabilities, total=None):
    counts, expected = np.asarray(counts, float), np.asarray(probabilities, float)
    total = counts.sum() if total is None else total
    if expected.sum() < 1 - 1e-9:  # the rest: nothing happened
        counts, expected = np.append(counts, total - counts.sum()), np.append(expected, 1 - expected.sum())
    assert counts.sum() == total
    p = stats.chisquare(counts, expected / expected.sum() * total).pvalue
    assert p > SMALLEST_P, (counts, expected * total)


def uniform(values, low, high):
    values = np.asarray(values, float)
    assert values.min() >= low - 1e-6
    assert values.max() <= high + 1e-6
    assert stats.kstest(values, "uniform", (low, high - low)).pvalue > SMALLEST_P


@pytest.fixture(scope="module")
def second_order():
    return draws("real-esrgan")


@pytest.mark.parametrize(("stage", "probability", "sigma"), [("blur 1", 1.0, 3.0), ("blur 2", 0.8, 1.5)])
def test_blur_kernels_come_in_their_shares(second_order, stage, probability, sigma):
    _, records = named(second_order, stage)
    kind, f = records["i"][:, 0], records["f"]
    isotropic = (f[:, 0] == f[:, 1]) & (f[:, 2] == 0)
    counts = [(kind == Blur.SINC).sum()]
    shares = [0.1]
    for shape, even, odd in ((Blur.GAUSSIAN, 0.45, 0.25), (Blur.GENERALISED, 0.12, 0.03), (Blur.PLATEAU, 0.12, 0.03)):
        counts += [((kind == shape) & isotropic).sum(), ((kind == shape) & ~isotropic).sum()]
        shares += [0.9 * even, 0.9 * odd]
    agree(counts, np.array(shares) * probability, COUNT)
    soft = kind != Blur.SINC
    uniform(f[soft & isotropic, 0], 0.2, sigma)
    uniform(f[soft & ~isotropic, 0], 0.2, sigma)
    uniform(f[soft & ~isotropic, 1], 0.2, sigma)
    uniform(f[soft & ~isotropic, 2], -np.pi, np.pi)
    agree([(records["i"][:, 1] == size).sum() for size in range(7, 22, 2)], [1 / 8] * 8)


def test_sinc_cutoffs_depend_on_the_size(second_order):
    _, records = named(second_order, "blur 1")
    sinc = records[records["i"][:, 0] == Blur.SINC]
    small = sinc["i"][:, 1] < 13
    uniform(sinc["f"][small, 4], np.pi / 3, np.pi)
    uniform(sinc["f"][~small, 4], np.pi / 5, np.pi)
    agree([(sinc["i"][:, 1] == size).sum() for size in range(7, 22, 2)], [1 / 8] * 8)


def test_betas_are_drawn_from_their_pieces(second_order):
    _, records = named(second_order, "blur 1")
    beta = records["f"][:, 3].astype(float)
    generalised = beta[records["i"][:, 0] == Blur.GENERALISED]
    agree([(generalised < 1).sum(), (generalised >= 1).sum()], [0.5, 0.5])
    uniform(generalised[generalised < 1], 0.5, 1.0)
    uniform(generalised[generalised >= 1], 1.0, 4.0)
    plateau = beta[records["i"][:, 0] == Blur.PLATEAU]
    agree([(plateau == 1).sum(), (plateau > 1).sum()], [0.5, 0.5])
    uniform(plateau[plateau > 1], 1.0, 2.0)


def test_the_first_resize_goes_up_down_or_nowhere(second_order):
    rows, records = named(second_order, "resize 1")
    height = np.full(COUNT, MODEST_SIZE)
    height[rows] = records["i"][:, 0]
    # Whole pixels: of the draws above 1, those below 401/400 keep the size as well.
    keep = 0.1 + 0.2 * (1 / MODEST_SIZE) / 0.5
    down = 0.7
    counts = [(height > MODEST_SIZE).sum(), (height < MODEST_SIZE).sum(), (height == MODEST_SIZE).sum()]
    agree(counts, [0.3 - keep, down, keep])
    assert height.min() >= 60
    assert height.max() <= 600
    assert np.array_equal(records["i"][:, 0], records["i"][:, 1])
    agree([(records["i"][:, 2] == kind).sum() for kind in (1, 2, 3)], [1 / 3] * 3)
    assert (records["i"][:, 3] == 1).all()


def test_the_second_resize_is_of_the_target(second_order):
    _, records = named(second_order, "resize 2")
    height = records["i"][:, 0]
    assert height.min() >= 30
    assert height.max() <= 120
    down = height < 100
    edges = np.arange(30, 101)
    # A height h stands for the scales h/100 to (h + 1)/100.
    agree(np.histogram(height[down], edges)[0], np.full(70, 1 / 70))
    assert abs(down.mean() - 0.4) < 0.02


@pytest.mark.parametrize(("stage", "sigma", "strength"), [("noise 1", 30, 3.0), ("noise 2", 25, 2.5)])
def test_noise_is_gaussian_or_poisson_grey_or_colour(second_order, stage, sigma, strength):
    _, records = named(second_order, stage)
    gaussian = records["opcode"] == Opcode.GAUSSIAN_NOISE
    grey = records["i"][:, 0] == Noise.GREY
    counts = [(g & y).sum() for g in (gaussian, ~gaussian) for y in (grey, ~grey)]
    agree(counts, [0.2, 0.3, 0.2, 0.3], COUNT)
    uniform(records["f"][gaussian, 0] * 255, 1, sigma)
    uniform(records["f"][~gaussian, 0], 0.05, strength)
    assert set(records["i"][~gaussian, 1].tolist()) == {256}


@pytest.mark.parametrize("stage", ["jpeg 1", "jpeg 2"])
def test_every_jpeg_quality_is_as_likely(second_order, stage):
    _, records = named(second_order, stage)
    assert len(records) == COUNT
    agree([(records["i"][:, 0] == quality).sum() for quality in range(30, 96)], [1 / 66] * 66)
    assert (records["i"][:, 1] == 2).all()


def test_the_end_comes_in_both_orders(second_order):
    jpeg = [stage for stage, name in second_order.stage_names.items() if name == "jpeg 2"]
    sinc = [stage for stage, name in second_order.stage_names.items() if name == "final sinc"]
    stages = second_order.damage["stage"]
    jpeg_at, sinc_at = (stages == jpeg[0]).argmax(1), (stages == sinc[0]).argmax(1)
    happened = (stages == sinc[0]).any(1)
    first = (jpeg_at < sinc_at)[happened]
    agree([(~happened).sum(), first.sum(), (~first).sum()], [0.2, 0.4, 0.4])


def test_orientation_is_a_coin(second_order):
    agree([(second_order.shared["opcode"] == Opcode.FLIP).sum()], [0.5], COUNT)


def test_choices_of_different_stages_are_independent(second_order):
    """Correlation of quality 1, quality 2, kernel size and sigma, over samples that are neighbours in number too."""
    columns = []
    for stage, field, position in (("jpeg 1", "i", 0), ("jpeg 2", "i", 0), ("blur 1", "i", 1), ("noise 1", "f", 0)):
        _, records = named(second_order, stage)
        columns.append(stats.rankdata(records[field][:, position]))
    columns += [np.roll(column, 1) for column in columns]
    correlation = np.corrcoef(columns) - np.eye(len(columns))
    assert np.abs(correlation).max() < 4.5 / np.sqrt(COUNT)


def test_first_order_faces_follow_their_recipe():
    plan = draws("blind-face-first-order", size=512)
    _, blur = named(plan, "blur")
    assert (blur["i"][:, 1] == 41).all()
    agree([(blur["f"][:, 2] == 0).sum(), (blur["f"][:, 2] != 0).sum()], [0.5, 0.5])
    uniform(blur["f"][:, 0], 0.2, 5.0)
    _, down = named(plan, "down")
    assert down["i"][:, 0].min() >= 32
    uniform(down["i"][:, 0] + 0.5, 32, 512.5)
    _, noise = named(plan, "noise")
    uniform(noise["f"][:, 0] * 255, 0, 25)
    assert (noise["i"][:, 0] == Noise.COLOUR).all()
    _, jpeg = named(plan, "jpeg")
    agree([(jpeg["i"][:, 0] == quality).sum() for quality in range(50, 96)], [1 / 46] * 46)
    _, last = named(plan, "to target")
    assert len(last) == COUNT
    assert (last["i"][:, :3] == (128, 128, 1)).all()
    assert not plan.sharpen["opcode"].any()


def test_bsrgan_shuffles_and_keeps_its_two_shrinks_in_order():
    plan = draws("bsrgan", 20_000)
    names = plan.stage_names
    orders = []
    for row in plan.damage:
        words = [names.get(int(record["stage"]), "") for record in row if record["opcode"]]
        assert words[-2:] == ["last jpeg", ""]
        orders.append([word for word in words if word in ("blur a", "blur b", "noise")])
    agree(np.unique([",".join(order) for order in orders], return_counts=True)[1], [1 / 6] * 6)
    halved = {stage for stage, name in names.items() if name == "halve"}
    agree([np.isin(plan.damage["stage"], list(halved)).any(1).sum()], [0.25], 20_000)
    _, noise = named(plan, "noise")
    agree([(noise["i"][:, 0] == kind).sum() for kind in (0, 1, 2)], [0.4, 0.4, 0.2])
    correlated = noise[noise["i"][:, 0] == Noise.CORRELATED]
    factor = np.zeros((len(correlated), 3, 3))
    factor[:, np.tril_indices(3)[0], np.tril_indices(3)[1]] = correlated["f"][:, 1:7]
    covariance = factor @ factor.transpose(0, 2, 1)
    # Eigenvalues uniform within 0 to 1: mean trace 1.5; axes without preference: equal mean on the diagonal.
    diagonal = covariance[:, range(3), range(3)]
    assert np.abs(diagonal.mean(0) - 0.5).max() < 0.02
    assert np.linalg.eigvalsh(covariance).max() <= 1 + 1e-5
    _, blurs = named(plan, "blur a")
    anisotropic = blurs[blurs["f"][:, 2] != 0]
    uniform(anisotropic["f"][:, 0][anisotropic["f"][:, 0] < 2.449] ** 2, 0.01, 2.449**2)


def test_augmentation_flips_transposes_and_drops_as_told():
    plan = draws("esrgan-augment", size=128)
    flips = plan.shared
    mirrored = (flips["i"][:, :, 0] | flips["i"][:, :, 1]).any(1)
    transposed = flips["i"][:, :, 2].any(1)
    agree(
        [(m & t).sum() for m in (mirrored, ~mirrored) for t in (transposed, ~transposed)],
        [0.25 * 0.75, 0.25 * 0.25, 0.75 * 0.75, 0.75 * 0.25],
    )
    first = flips[:, 0]
    kinds = [((first["i"][:, 0] == h) & (first["i"][:, 1] == v)).sum() for h, v in ((1, 0), (0, 1), (1, 1))]
    agree(kinds, [1 / 3] * 3)
    agree([(plan.damage["opcode"] == Opcode.JPEG).any(1).sum()], [0.25], COUNT)
    holes = (plan.damage["opcode"] == Opcode.DROPOUT).sum(1)
    agree([(holes == n).sum() for n in (0, 1, 2)], [0.75, 0.125, 0.125])
    _, records = named(plan, "dropout")
    assert set(records["i"][:, 2].tolist()) == {3, 4, 5, 6}  # 10 to 20 % of 32 pixels
    agree([(records["i"][:, 2] == size).sum() for size in (3, 4, 5, 6)], np.array([0.3, 1, 1, 0.9]) / 3.2)


@pytest.mark.parametrize(
    ("spread", "turn"),
    [("even", lambda v: v), ("log", np.log), ("square", np.square), ("reciprocal", np.reciprocal)],
)
def test_a_spread_is_even_in_its_own_measure(spread, turn):
    text = f"""
name = "x"
[[stages]]
kind = "noise"
choices = [{{ type = "poisson", strength = {{ between = [0.25, 4.0], spread = "{spread}" }} }}]
"""
    _, records = named(draws(text, size=8), "noise")
    values = turn(records["f"][:, 0].astype(float))
    low, high = sorted(turn(np.array([0.25, 4.0])))
    uniform(values, low, high)


def test_a_stage_that_holds_stages_happens_as_a_whole():
    text = """
name = "x"
[[stages]]
kind = "sequence"
probability = 0.3
stages = [{ kind = "jpeg", quality = 90 }, { kind = "jpeg", name = "again", quality = 80, probability = 0.5 }]
[[stages]]
kind = "choose"
probability = 0.6
branches = [
  { weight = 3, stages = [{ kind = "round", name = "a" }] },
  { weight = 1, stages = [{ kind = "round", name = "b" }, { kind = "round", name = "c" }] },
]
"""
    plan = draws(text, size=8)
    first, again = set(named(plan, "jpeg")[0].tolist()), set(named(plan, "again")[0].tolist())
    assert again < first
    agree([len(again), len(first) - len(again)], [0.15, 0.15], COUNT)
    a, b, c = (set(named(plan, name)[0].tolist()) for name in "abc")
    assert b == c
    assert not a & b
    agree([len(a), len(b)], [0.45, 0.15], COUNT)


def test_a_shuffle_within_a_shuffle_gives_every_order_its_share():
    text = """
name = "x"
[[stages]]
kind = "shuffle"
keep_order = ["a", "d"]
stages = [
  { kind = "round", name = "a" },
  { kind = "shuffle", stages = [{ kind = "round", name = "b" }, { kind = "round", name = "c" }] },
  { kind = "round", name = "d" },
]
"""
    plan = draws(text, 20_000, size=8)
    words = ["".join(plan.stage_names.get(int(s), "") for s in row["stage"] if s) for row in plan.damage]
    orders, counts = np.unique(words, return_counts=True)
    # The inner two stay together, and a stays before d: three places for the pair, two orders in it.
    assert orders.tolist() == ["abcd", "acbd", "adbc", "adcb", "bcad", "cbad"]
    agree(counts, [1 / 6] * 6)
