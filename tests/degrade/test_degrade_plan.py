from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.degrade.draw import draw_plan
from engine.degrade.philox import PLAN_STREAM, philox4x32
from engine.degrade.plan import Plan
from engine.degrade.recipe import Recipe, bundled_recipes, load_recipe, parse_recipe
from engine.errors import Code, PellucidError
from kernels.ops import Opcode

PARTS = ("shared", "sharpen", "damage")


def operations(plan, row):
    return [[record.tobytes() for record in getattr(plan, part)[row] if record["opcode"]] for part in PARTS]


def small_recipe(stages: str, scale: int = 4) -> Recipe:
    return parse_recipe(f'name = "small"\nscale = {scale}\n{stages}')


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        # The known answers published with the Random123 library for philox4x32-10.
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_philox_gives_the_published_answers(counter, key, words, reference):
    arrays = tuple(np.full((2, 3), word, np.uint32) for word in counter)
    result = philox4x32(arrays, key)
    assert [int(word[1, 2]) for word in result] == list(words)
    assert tuple(reference.philox(counter, key)) == words


@given(st.lists(st.integers(0, 2**32 - 1), min_size=4, max_size=4), st.tuples(*[st.integers(0, 2**32 - 1)] * 2))
def test_philox_of_arrays_is_philox_of_integers(counter, key):
    c, k = list(counter), list(key)
    for _ in range(10):
        first, second = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [second >> 32 ^ c[1] ^ k[0], second & 0xFFFFFFFF, first >> 32 ^ c[3] ^ k[1], first & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) % 2**32, (k[1] + 0xBB67AE85) % 2**32]
    arrays = tuple(np.array([word], np.uint32) for word in counter)
    assert [int(word[0]) for word in philox4x32(arrays, key)] == c


@pytest.mark.parametrize("name", bundled_recipes())
def test_a_samples_plan_does_not_depend_on_the_batch_it_is_drawn_in(name):
    recipe = load_recipe(name)
    samples = np.array([5, 2**40 + 1, 0, 77, 12345678901, 3, 3, 9])
    together = draw_plan(recipe, 11, samples, 64, 64)
    backwards = draw_plan(recipe, 11, samples[::-1], 64, 64)
    for row, sample in enumerate(samples):
        alone = draw_plan(recipe, 11, [sample], 64, 64)
        assert operations(alone, 0) == operations(together, row) == operations(backwards, len(samples) - 1 - row)


def test_taking_rows_of_a_plan_is_drawing_those_samples():
    recipe = load_recipe("bsrgan")
    plan = draw_plan(recipe, 3, np.arange(64), 96, 96)
    for rows in (slice(16, 32), [40, 2, 2], np.array([63])):
        taken = plan.take(rows)
        fresh = draw_plan(recipe, 3, np.arange(64)[rows], 96, 96)
        for part in (*PARTS, "samples", "target_sizes", "input_sizes"):
            assert np.array_equal(getattr(taken, part), getattr(fresh, part)), part


@pytest.mark.parametrize("name", bundled_recipes())
def test_other_seeds_and_samples_give_other_plans(name):
    recipe = load_recipe(name)
    plans = [draw_plan(recipe, seed, np.arange(24), 64, 64) for seed in (0, 1, 2**32, 2**63)]
    seen = {str([operations(plan, row) for row in range(24)]) for plan in plans}
    assert len(seen) == (1 if name == "bicubic" else 4)


@pytest.mark.parametrize("name", bundled_recipes())
@pytest.mark.parametrize("size", [(64, 64), (67, 45), (400, 397), (4, 4), (5, 131)])
def test_a_plan_ends_in_the_size_it_says_and_every_row_in_an_end(name, size):
    plan = draw_plan(load_recipe(name), 1, np.arange(200), *size)
    assert np.array_equal(plan.input_sizes * 4, plan.target_sizes)
    for part in PARTS:
        assert (getattr(plan, part)[:, -1]["opcode"] == Opcode.END).all()
    for row in range(len(plan)):
        height, width = size
        for part in PARTS:
            for record in getattr(plan, part)[row]:
                i = record["i"]
                match record["opcode"]:
                    case Opcode.END:
                        break
                    case Opcode.CROP:
                        assert i[0] + i[2] <= height
                        assert i[1] + i[3] <= width
                        height, width = i[2:]
                    case Opcode.RESIZE:
                        assert (height, width) != tuple(i[:2]), "a resize to the same size is left out"
                        height, width = i[:2]
                    case Opcode.FLIP if i[2]:
                        height, width = width, height
                    case Opcode.DROPOUT:
                        assert 0 <= i[0] <= i[0] + i[2] <= height
                        assert 0 <= i[1] <= i[1] + i[3] <= width
                        assert min(i[2:]) >= 1
            if part == "shared":
                assert (height, width) == tuple(plan.target_sizes[row])
        assert (height, width) == tuple(plan.input_sizes[row])
        last = [record for record in plan.damage[row] if record["opcode"]][-1]
        assert last["opcode"] == Opcode.CLAMP_ROUND


@pytest.mark.parametrize("name", bundled_recipes())
def test_a_plan_survives_the_way_through_json(name):
    plan = draw_plan(load_recipe(name), 2**63 + 5, np.arange(2**40, 2**40 + 60), 61, 90)
    for row in range(len(plan)):
        again = Plan.from_json(plan.to_json(row))
        assert operations(again, 0) == operations(plan, row)
        assert again.describe(0) == plan.describe(row)
        assert again.seed == plan.seed
        assert again.samples[0] == plan.samples[row]
        assert again.source_size == plan.source_size
        assert np.array_equal(again.input_sizes[0], plan.input_sizes[row])
        assert np.array_equal(again.target_sizes[0], plan.target_sizes[row])
        assert again.to_json(0) == plan.to_json(row)


def test_a_plan_is_replayed_from_what_its_json_names():
    recipe = load_recipe("real-esrgan")
    written = Plan.from_json(draw_plan(recipe, 99, [7], 128, 96).to_json(0))
    assert written.digest == recipe.digest
    replayed = draw_plan(load_recipe(written.recipe), written.seed, written.samples, *written.source_size)
    assert operations(replayed, 0) == operations(written, 0)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}",
        b"[1]",
        b'{"recipe": 3}',
        draw_plan(load_recipe("bicubic"), 0, [0], 64, 64).to_json(0).replace(b'"resize"', b'"resise"'),
        draw_plan(load_recipe("bicubic"), 0, [0], 64, 64).to_json(0).replace(b'"filter"', b'"filtre"'),
        draw_plan(load_recipe("bicubic"), 0, [0], 64, 64).to_json(0).replace(b'"bicubic",', b'"cubic",'),
    ],
)
def test_what_is_no_plan_is_refused_in_a_sentence(text):
    # The replacement in the last case must hit the filter, not only the recipe's name.
    with pytest.raises(PellucidError) as caught:
        Plan.from_json(text.replace(b'"filter": "bicubic"', b'"filter": "cubic"') if b'"cubic"' in text else text)
    assert caught.value.code is Code.CONFIG


def written_plan():
    """The JSON of a plan with a blur, a resize, noise, JPEG, WebP and a hole, as a dict."""
    recipe = small_recipe(
        '[[orient]]\nkind = "flip"\nhorizontal = 1\n[sharpen]\n'
        '[[stages]]\nkind = "blur"\nsize = 7\nsigma = 1\nchoices = [{ shape = "isotropic" }]\n'
        '[[stages]]\nkind = "noise"\nchoices = [{ type = "gaussian", sigma = 9 }]\n'
        '[[stages]]\nkind = "jpeg"\nquality = 50\n[[stages]]\nkind = "webp"\nquality = 50\n'
        '[[stages]]\nkind = "dropout"\nholes = 1\n'
    )
    return msgspec.json.decode(draw_plan(recipe, 0, [3], 66, 49).to_json(0))


@pytest.mark.parametrize(
    ("op", "key", "value", "said"),
    [
        ("", "seed", -1, "`seed` is within 0"),
        ("", "seed", 2**64, "`seed` is within 0"),
        ("", "sample", 2**70, "`sample` is within 0"),
        ("", "sample", -1, "`sample` is within 0"),
        ("", "sample", "3", "int"),
        ("", "source_size", [0, 49], "`source_size` is within 1"),
        ("", "source_size", [2**70, 10], "`source_size` is within 1"),
        ("", "source_size", [66], "source_size"),
        ("", "source_size", [65535, 65535], "pixels"),
        ("", "source_size", [40, 49], "inside the picture"),
        ("", "target_size", [64, 52], "end in [64, 48], and `target_size` says otherwise"),
        ("", "input_size", [2**70, 10], "`input_size` is within 1"),
        ("", "input_size", [16, 13], "end in [16, 12], and `input_size` says otherwise"),
        ("", "sharpen_target", 1, "bool"),
        ("", "operations", [[]], "operations"),
        ("", "operations", [{}], "operation 0: `op` is one of"),
        ("", "operations", [{"op": "round", "stage": 0, "part": "damage"}] * 64, "more than the 63 operations"),
        ("jpeg", "quality", 99999999999, "`quality` is within"),
        ("jpeg", "quality", 500, "the JPEG quality is 500, which must be 1..100"),
        ("jpeg", "quality", "50", "`quality` is a whole number, not '50'"),
        ("jpeg", "quality", 50.7, "`quality` is a whole number, not 50.7"),
        ("jpeg", "quality", True, "`quality` is a whole number, not True"),
        ("jpeg", "quality", None, "at `$.operations[5]"),
        ("jpeg", "quality", ..., "`quality` is a whole number, not None"),
        ("jpeg", "stage", -1, "`stage` is within 0"),
        ("jpeg", "stage", 2**31, "`stage` is within 0"),
        ("jpeg", "stage", "2", "`stage` is a whole number"),
        ("jpeg", "part", "dammage", "`part` is one of shared, sharpen, damage"),
        ("jpeg", "part", ..., "`part` is one of"),
        ("jpeg", "name", 5, "`name` is a text"),
        ("jpeg", "subsampling", 2, "`subsampling` is one of s444, s422, s420, not 2"),
        ("webp", "quality", 0, "`quality` is within 1 to 100"),
        ("webp", "codec", 1, "`codec` is within 0 to 0"),
        ("blur", "kernel", 5, "`kernel` is one of gaussian"),
        ("blur", "kernel", "GAUSSIAN", "`kernel` is one of gaussian"),
        ("blur", "sigma_x", 1e300, "`sigma_x` is a number, not 1e+300"),
        ("blur", "sigma_x", "1", "`sigma_x` is a number, not '1'"),
        ("blur", "sigma_x", True, "`sigma_x` is a number, not True"),
        ("blur", "sigma_x", ..., "sigma_x is 0"),
        ("flip", "horizontal", 1, "`horizontal` is true or false, not 1"),
        ("dropout", "width", 99, "inside the picture"),
        ("gaussian-noise", "sigma", -1, "sigma is -1"),
    ],
)
def test_a_damaged_plan_is_refused_with_the_place_of_the_damage(op, key, value, said):
    facts = written_plan()
    assert Plan.from_json(msgspec.json.encode(facts)).describe(0) == facts["operations"]
    line = facts if not op else next(line for line in facts["operations"] if line["op"] == op)
    if value is ...:
        del line[key]
    else:
        line[key] = value
    with pytest.raises(PellucidError) as caught:
        Plan.from_json(msgspec.json.encode(facts))
    assert caught.value.code is Code.CONFIG
    assert said in caught.value.message
    if op and value is not None:
        assert f"operation {facts['operations'].index(line)}: " in caught.value.message


def test_a_description_has_words_for_people():
    plan = draw_plan(load_recipe("real-esrgan"), 4, np.arange(50), 400, 400)
    lines = [line for row in range(50) for line in plan.describe(row)]
    names = {line.get("name") for line in lines}
    assert {"blur 1", "resize 1", "noise 1", "jpeg 1", "blur 2", "resize 2", "noise 2", "final sinc", "jpeg 2"} <= names
    kernels = {line["kernel"] for line in lines if line["op"] == "blur"}
    assert kernels == {"gaussian", "generalised", "plateau", "sinc"}
    assert all(line["part"] in PARTS for line in lines)


def test_without_orientation_everything_else_stays_as_drawn():
    recipe = load_recipe("esrgan-augment")
    turned = draw_plan(recipe, 8, np.arange(100), 64, 64)
    upright = draw_plan(recipe, 8, np.arange(100), 64, 64, orient=False)
    assert (turned.shared["opcode"] == Opcode.FLIP).any()
    assert not upright.shared["opcode"].any()
    assert np.array_equal(turned.damage, upright.damage)


def test_transposition_swaps_the_sizes():
    plan = draw_plan(load_recipe("esrgan-augment"), 8, np.arange(100), 64, 96)
    turned = np.array([bool(sum(record["i"][2] for record in row) % 2) for row in plan.shared])
    assert 0 < turned.sum() < 100
    assert (plan.target_sizes[turned] == (96, 64)).all()
    assert (plan.target_sizes[~turned] == (64, 96)).all()


def test_a_picture_below_the_scale_is_refused_with_its_size():
    with pytest.raises(PellucidError, match="3x64"):
        draw_plan(load_recipe("bicubic"), 0, [0], 64, 3)


def test_a_recipe_that_grows_without_end_is_refused():
    up = '[[stages]]\nkind = "resize"\nfilters = "area"\nchoices = [{ scale = 16 }]\n'
    with pytest.raises(PellucidError, match="more than"):
        draw_plan(small_recipe(up * 3), 0, [0], 400, 400)


def test_an_empty_batch_is_an_empty_plan():
    plan = draw_plan(load_recipe("bsrgan"), 0, [], 64, 64)
    assert len(plan) == 0
    assert plan.damage.shape[0] == 0


def test_what_a_recipe_leaves_in_another_size_is_resized_to_the_target():
    plan = draw_plan(small_recipe('[[stages]]\nkind = "jpeg"\nquality = 90\n'), 0, [0, 1], 64, 96)
    assert plan.damage["opcode"].tolist() == [[Opcode.JPEG, Opcode.RESIZE, Opcode.CLAMP_ROUND, Opcode.END]] * 2
    assert plan.damage[0, 1]["i"].tolist() == [16, 24, 3, 1]


def test_no_stage_draws_from_a_stream_of_the_plan():
    """The kernels count noise under (seed; position, stage, sample): a stage with the plan's bit would collide."""
    for name in bundled_recipes():
        plan = draw_plan(load_recipe(name), 0, np.arange(100), 64, 64)
        for part in PARTS:
            assert (getattr(plan, part)["stage"] < PLAN_STREAM).all()


def test_noise_stages_of_one_sample_never_share_a_stream():
    for name in bundled_recipes():
        plan = draw_plan(load_recipe(name), 0, np.arange(300), 64, 64)
        noisy = np.isin(plan.damage["opcode"], (Opcode.GAUSSIAN_NOISE, Opcode.POISSON_NOISE))
        for row in range(len(plan)):
            stages = plan.damage["stage"][row][noisy[row]]
            assert len(set(stages.tolist())) == len(stages)


def test_webp_is_planned_as_a_codec_of_the_host():
    plan = draw_plan(small_recipe('[[stages]]\nkind = "webp"\nquality = [40, 60]\n'), 0, np.arange(50), 64, 64)
    assert (plan.damage["opcode"][:, 0] == Opcode.HOST_CODEC).all()
    assert set(plan.damage["i"][:, 0, 1].tolist()) <= set(range(40, 61))
