from __future__ import annotations

import numpy as np
import pytest

from engine.degrade import recipe as rc
from engine.degrade.draw import draw_plan
from engine.degrade.execute import degrade_batch
from engine.errors import Code, PellucidError
from kernels.ops import Opcode

SMALLEST = 'name = "x"\n[[stages]]\nkind = "resize"\nof = "target"\nfilters = "bicubic"\n'


def refusal(text):
    with pytest.raises(PellucidError) as caught:
        rc.parse_recipe(text, "mine.toml")
    assert caught.value.code is Code.CONFIG
    assert caught.value.message.startswith("mine.toml: ") or "mine.toml" in caught.value.message
    return str(caught.value)


@pytest.mark.parametrize("name", rc.bundled_recipes())
def test_a_bundled_recipe_loads_and_is_called_what_its_file_is_called(name):
    recipe = rc.load_recipe(name)
    assert recipe.name == name
    assert recipe.description


@pytest.mark.parametrize("name", rc.bundled_recipes())
def test_a_recipe_survives_the_way_through_plain_data(name):
    recipe = rc.load_recipe(name)
    again = rc.recipe_from_plain(rc.recipe_plain(recipe))
    assert again == recipe
    assert again.digest == recipe.digest


def test_the_six_recipes_are_there():
    assert rc.bundled_recipes() == [
        "bicubic",
        "blind-face-first-order",
        "bsrgan",
        "esrgan-augment",
        "real-esrgan",
        "real-esrgan-compatible",
    ]


@pytest.mark.parametrize(
    ("line", "wrong", "right"),
    [
        ("scal = 2", "scal", "scale"),
        ("[sharpen]\nradios = 3", "sharpen.radios", "radius"),
        ('[[orient]]\nkind = "flip"\nhorizontl = 0.5', "orient[0].horizontl", "horizontal"),
    ],
)
def test_an_unknown_key_is_answered_with_the_nearest_name(line, wrong, right):
    if line.startswith("["):
        text = SMALLEST + line
    else:
        text = line + "\n" + SMALLEST
    message = refusal(text)
    assert f"`{wrong}`" in message
    assert f'did you mean "{right}"?' in message


@pytest.mark.parametrize(
    ("stage", "right"),
    [
        ('kind = "blurr"', "blur"),
        ('kind = "jpeg"\nqualty = 3', "quality"),
        ('kind = "resize"\nfilters = "bicubc"', "bicubic"),
        ('kind = "resize"\nfilters = { lanczoss = 1 }', "lanczos"),
        ('kind = "noise"\nchoices = [{ type = "gausian", sigma = 3 }]', "gaussian"),
        ('kind = "noise"\nchoices = [{ type = "gaussian", sigmas = 3 }]', "sigma"),
        ('kind = "blur"\nsize = 7\nchoices = [{ shape = "anisotropc", sigma = 1 }]', "anisotropic"),
        ('kind = "shuffle"\nstages = [{ kind = "choose", branches = [{ wieght = 1, stages = [] }] }]', "weight"),
        ('kind = "sequence"\nstages = [{ kind = "jpeg", quality = 3, prob = 1 }]', "probability"),
        ('kind = "jpeg"\nquality = { between = [30, 95], spread = "lgo" }', "log"),
        ('kind = "jpeg"\nquality = 3\nsubsampling = "4:2:00"', "4:2:0"),
    ],
)
def test_a_wrong_name_anywhere_in_a_stage_is_answered_with_the_nearest(stage, right):
    assert f'did you mean "{right}"?' in refusal(f'name = "x"\n[[stages]]\n{stage}\n')


@pytest.mark.parametrize(
    ("stage", "words"),
    [
        ('kind = "jpeg"\nquality = [0, 95]', "within 1 to 100"),
        ('kind = "jpeg"\nquality = [30.5, 95]', "whole numbers"),
        ('kind = "jpeg"\nquality = [95, 30]', "runs backwards"),
        ('kind = "jpeg"\nquality = "good"', "a range is"),
        ('kind = "jpeg"\nquality = [nan, 95]', "finite"),
        ('kind = "jpeg"\nquality = 90\nprobability = 1.5', "probability within 0 to 1"),
        ('kind = "resize"\nfilters = "area"\nchoices = [{ scale = [0.01, 1] }]', "within 0.0625 to 16"),
        ('kind = "resize"\nfilters = {}', "weights are"),
        ('kind = "resize"\nfilters = { area = -1 }', "must be 0 or within"),
        ('kind = "resize"\nfilters = { area = true }', "a number"),
        ('kind = "resize"\nfilters = { area = 1e-200 }\nchoices = [{ scale = 1, weight = 1 }]', "must be 0 or within"),
        ('kind = "resize"\nfilters = "area"\nchoices = [{ scale = 1, weight = 1e300 }]', "must be 0 or within"),
        ('kind = "jpeg"\nquality = 1' + "0" * 400, "finite"),
        ('kind = "jpeg"\nquality = [[1, 2], [3, 4], [5, 6], [7, 8], [9, 10]]', "at most 4 pieces"),
        ('kind = "blur"\nsize = 7\nsigma = 1\nangle = 1e30\nchoices = [{ shape = "anisotropic" }]', "within -100"),
        ('kind = "blur"\nsize = 7\nsigma = 1\nchoices = [{ shape = "anisotropic", angle = 1e30 }]', "within -100"),
        ('kind = "sequence"\nstages = []', "needs at least one stage"),
        ('kind = "shuffle"\nstages = []', "needs at least one stage"),
        ('kind = "shuffle"\nstages = [{ kind = "round" }, { kind = "sequence", stages = [] }]', "at least one stage"),
        ('kind = "choose"\nbranches = [{ stages = [] }, { stages = [] }]', "needs at least one stage"),
        ('kind = "resize"\nfilters = { area = 0 }', "weight above 0"),
        ('kind = "resize"\nfilters = "area"\nof = "target"\ngrid = "scale"', "goes with"),
        ('kind = "blur"\nsize = 8\nsigma = 1\nchoices = [{ shape = "isotropic" }]', "odd"),
        ('kind = "blur"\nsize = [7, 99]\nsigma = 1\nchoices = [{ shape = "isotropic" }]', "within 3 to 63"),
        ('kind = "blur"\nsize = 7\nsigma = 0\nchoices = [{ shape = "isotropic" }]', "within 0.05"),
        ('kind = "blur"\nsize = 7\nchoices = [{ shape = "isotropic" }]', "needs `sigma`"),
        ('kind = "blur"\nsize = 7\nchoices = [{ shape = "sinc" }]', "needs `cutoff`"),
        ('kind = "blur"\nsize = 7\nsigma = 1\nchoices = [{ shape = "isotropic", beta = 1 }]', "means nothing"),
        ('kind = "blur"\nsize = 7\nsigma = 1\nchoices = []', "needs at least one"),
        ('kind = "noise"\nchoices = [{ type = "poisson", sigma = 3 }]', "takes `strength` only"),
        ('kind = "noise"\nchoices = [{ type = "gaussian", sigma = 300 }]', "within 0 to 255"),
        ('kind = "noise"\nchoices = [{ type = "poisson", strength = 1, levels = 100 }]', "power of two"),
        ('kind = "shuffle"\nkeep_order = ["a"]\nstages = []', "0 stages"),
        ('kind = "flip"\nhorizontal = 1', "unknown kind"),
        ("quality = 3", "needs `kind`"),
    ],
)
def test_a_wrong_value_is_named_with_its_place(stage, words):
    message = refusal(f'name = "x"\n[[stages]]\n{stage}\n')
    assert words in message
    assert "stages[0]" in message


@pytest.mark.parametrize("text", ["", 'name = "x"\nstages = []', "stages = 3", 'name = "x"\nscale = 0\n', "= nonsense"])
def test_a_recipe_without_sense_is_refused_in_a_sentence(text):
    assert "mine.toml" in refusal(text)


def chain(count):
    return '[[stages]]\nkind = "round"\n' * count


@pytest.mark.parametrize(
    ("fits", "too_many", "words"),
    [
        (chain(61), chain(62), "at most 63 operations to a picture, and this one may do 64"),
        ("[sharpen]\n" + chain(60), "[sharpen]\n" + chain(61), "may do 64"),
        ("[sharpen]\ntarget = false\n" + chain(60), "[sharpen]\ntarget = false\n" + chain(61), "may do 64"),
        (
            '[[stages]]\nkind = "dropout"\nholes = [1, 15]\n' * 4 + chain(1),
            '[[stages]]\nkind = "dropout"\nholes = [1, 15]\n' * 4 + chain(2),
            "may do 64",
        ),
        (
            chain(60) + '[[stages]]\nkind = "choose"\nbranches = [' + '{ stages = [{ kind = "round" }] },' * 9 + "]",
            chain(61) + '[[stages]]\nkind = "choose"\nbranches = [' + '{ stages = [{ kind = "round" }] },' * 9 + "]",
            "may do 64",
        ),
        (
            '[[orient]]\nkind = "flip"\nvertical = 1\n' * 62 + chain(1),
            '[[orient]]\nkind = "flip"\nvertical = 1\n' * 63 + chain(1),
            "at most 62 flips",
        ),
        (
            '[[stages]]\nkind = "choose"\nbranches = [' + '{ stages = [{ kind = "round" }] },' * 900 + "]",
            '[[stages]]\nkind = "choose"\nbranches = [' + '{ stages = [{ kind = "round" }] },' * 16383 + "]",
            "at most 16383 stages",
        ),
    ],
)
def test_a_recipe_that_is_too_long_is_refused_when_it_is_read(fits, too_many, words):
    """And what fits by a hair runs, whatever the target is."""
    recipe = rc.parse_recipe('name = "x"\n' + fits)
    for sample in range(5):
        plan = draw_plan(recipe, 0, [sample], 34, 33)
        for target in ("plain", "sharpened"):
            degrade_batch(np.full((1, 3, 34, 33), 0.5, np.float32), plan, target=target, threads=1)
    assert words in refusal('name = "x"\n' + too_many)


@pytest.mark.parametrize("key", ["radius", "weight", "threshold"])
@pytest.mark.parametrize("value", ["nan", "-1", "1" + "0" * 400])
def test_a_sharpening_without_sense_is_refused_when_it_is_read(key, value):
    assert "sharpen" in refusal(f"{SMALLEST}[sharpen]\n{key} = {value}\n")


def test_an_empty_branch_leaves_the_picture_alone():
    recipe = rc.parse_recipe(
        'name = "x"\nscale = 1\n[[stages]]\nkind = "choose"\n'
        'branches = [{ stages = [] }, { stages = [{ kind = "jpeg", quality = 5 }] }]\n'
    )
    plan = draw_plan(recipe, 0, range(200), 32, 32)
    coded = (plan.damage["opcode"] == Opcode.JPEG).any(1).sum()
    assert 60 < coded < 140


def test_an_unknown_recipe_is_answered_with_the_nearest_and_the_list():
    with pytest.raises(PellucidError) as caught:
        rc.load_recipe("real-esrgn")
    assert 'did you mean "real-esrgan"?' in str(caught.value)
    assert "bsrgan" in caught.value.hint


def test_a_missing_or_unreadable_file_is_named(tmp_path):
    with pytest.raises(PellucidError) as caught:
        rc.load_recipe(tmp_path / "nothing.toml")
    assert caught.value.code is Code.FILE_MISSING
    binary = tmp_path / "binär.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PellucidError) as caught:
        rc.load_recipe(binary)
    assert caught.value.code is Code.FILE_UNREADABLE
    assert "binär.toml" in caught.value.message


def test_the_printed_source_of_a_recipe_is_the_recipe(tmp_path):
    copy = tmp_path / "meins.toml"
    copy.write_text(rc.recipe_source("bsrgan"), "utf-8")
    assert rc.load_recipe(copy) == rc.load_recipe("bsrgan")


def test_a_byte_order_mark_is_no_part_of_a_recipe(tmp_path):
    marked = tmp_path / "marked.toml"
    marked.write_text(rc.recipe_source("bsrgan"), "utf-8-sig")
    assert rc.load_recipe(marked) == rc.load_recipe("bsrgan")
    assert rc.recipe_source(marked) == rc.recipe_source("bsrgan")


def test_a_changed_number_changes_the_digest_and_a_comment_does_not():
    text = rc.recipe_source("bicubic")
    digest = rc.parse_recipe(text).digest
    assert rc.parse_recipe("# a remark\n" + text).digest == digest
    assert rc.parse_recipe(text.replace("scale = 4", "scale = 2")).digest != digest


def test_recipes_and_ranges_are_immutable():
    recipe = rc.load_recipe("bicubic")
    with pytest.raises(AttributeError):
        recipe.scale = 2
    with pytest.raises(AttributeError):
        rc.Span(((0.0, 1.0),)).spread = "log"
