from __future__ import annotations

import warnings
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
import pytest
import torch
from torch.nn import functional

from engine.errors import PellucidError
from engine.models.arch.compact import COMPACT, CompactArgs, parameter_shapes
from engine.models.card import Card
from engine.models.files import read_model, weights_hash, write_model
from engine.models.foreign import import_spandrel
from engine.models.model import Model
from engine.wire_training import ModelConfig, SaveConfig, StageConfig, TrainingConfig
from tests.trainer.tiny import gan_stage, tiny_config
from trainer.generator import Generator, build_generator, describe_generator
from trainer.rundir import RunFolder
from trainer.worker import work


def trained(config: TrainingConfig, folder: Path) -> RunFolder:
    run = RunFolder(folder)
    run.create(config)
    assert work(folder) == 0
    return run


def test_a_two_stage_run_leaves_a_pair_that_names_its_partner(photos: Path, tmp_path: Path) -> None:
    config = tiny_config(photos, stages=[StageConfig(iterations=3), gan_stage(3)])
    config = msgspec.structs.replace(
        config, model=msgspec.structs.replace(config.model, licence="CC0", attribution=["A", "B"])
    )
    run = trained(config, tmp_path / "run")
    psnr, gan = (read_model(run.models / f"tiny-{name}.safetensors") for name in ("psnr", "gan"))
    assert (psnr.card.role, gan.card.role) == ("psnr", "gan")
    assert gan.card.partner == weights_hash(psnr.weights)
    assert (gan.card.licence, gan.card.attribution) == ("CC0", ["A", "B"])
    assert psnr.card.recipe != gan.card.recipe


def test_a_run_that_starts_from_a_model_names_it_as_partner(photos: Path, tmp_path: Path) -> None:
    first = trained(tiny_config(photos, stages=[StageConfig(iterations=3)]), tmp_path / "one")
    start = first.models / "tiny.safetensors"
    config = tiny_config(photos, stages=[gan_stage(3)])
    config = msgspec.structs.replace(config, model=msgspec.structs.replace(config.model, start=str(start)))
    second = trained(config, tmp_path / "two")
    assert read_model(second.models / "tiny.safetensors").card.partner == weights_hash(read_model(start).weights)


def test_a_start_of_another_architecture_is_refused(photos: Path, tmp_path: Path) -> None:
    first = trained(tiny_config(photos, stages=[StageConfig(iterations=1)]), tmp_path / "one")
    config = tiny_config(photos)
    model = ModelConfig(
        architecture="compact-16",
        arguments={"features": 16, "convolutions": 2},
        start=str(first.models / "tiny.safetensors"),
    )
    run = RunFolder(tmp_path / "two")
    run.create(msgspec.structs.replace(config, model=model))
    assert work(run.path) == 1
    assert "to be trained" in str([event for event, _ in run.events()][-1])


def test_a_deeper_network_begins_with_the_pictures_of_the_shallower_one(photos: Path, tmp_path: Path) -> None:
    first = trained(tiny_config(photos, stages=[StageConfig(iterations=4)]), tmp_path / "one")
    start = str(first.models / "tiny.safetensors")
    shallow = build_generator(msgspec.structs.replace(tiny_config(photos).model, start=start), 1)
    deep = build_generator(
        ModelConfig(architecture="compact-16", arguments={"features": 8, "convolutions": 7}, start=start), 1
    )
    assert len(list(deep.parameters())) == len(list(shallow.parameters())) + 5 * 3
    picture = torch.rand(1, 3, 16, 24)
    with torch.no_grad():
        assert torch.equal(shallow(picture), deep(picture))
    (deep(picture) ** 2).sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in deep.parameters()), "the new layers learn too"


@pytest.mark.parametrize(("there", "here"), [(4, 2), (4, 1), (2, 4), (2, 2)])
def test_a_network_of_another_scale_begins_with_the_same_picture_larger_or_smaller(
    there: Literal[2, 4], here: Literal[1, 2, 4], tmp_path: Path
) -> None:
    random = np.random.default_rng(3)
    args = CompactArgs(features=8, convolutions=2, scale=there)
    weights = {name: random.normal(0, 0.2, shape).astype(np.float32) for name, shape in parameter_shapes(args).items()}
    card = Card(name="one", architecture="compact", arguments=COMPACT.write_arguments(args), scale=there)
    write_model(Model(card, weights), tmp_path / "one.safetensors")
    arguments: dict[str, int | float | str | bool | list[int]] = {"features": 8, "convolutions": 2}
    start = str(tmp_path / "one.safetensors")
    first = build_generator(ModelConfig("compact-16", there, arguments, start), 1)
    second = build_generator(ModelConfig("compact-16", here, arguments | {"convolutions": 4}, start), 1)
    picture = torch.rand(1, 3, 12, 20)
    with torch.no_grad():
        made = first(picture)
        size = (12 * here, 20 * here)
        expected = (
            functional.adaptive_avg_pool2d(made, size) if here < there else functional.interpolate(made, size=size)
        )
        assert torch.allclose(second(picture), expected, atol=2e-6)


def test_a_shallower_network_does_not_begin_at_a_deeper_one(photos: Path, tmp_path: Path) -> None:
    first = trained(tiny_config(photos, stages=[StageConfig(iterations=1)]), tmp_path / "one")
    start = str(first.models / "tiny.safetensors")
    shallower = ModelConfig(architecture="compact-16", arguments={"features": 8, "convolutions": 1}, start=start)
    with pytest.raises(PellucidError, match="to be trained"):
        build_generator(shallower, 1)


NETWORKS: dict[str, dict[str, int | float | str | bool | list[int]]] = {
    "compact-16": {"features": 16, "convolutions": 3},
    "rrdbnet-23": {"features": 16, "growth": 32, "blocks": 1},
    "swinir-78": {"embed": 24, "depths": [2], "heads": [2], "mlp_hidden": 48},
}


@pytest.mark.parametrize("architecture", NETWORKS)
def test_what_is_trained_here_opens_in_spandrel_and_gives_the_same_picture(
    architecture: str, photos: Path, tmp_path: Path
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import_spandrel()
        import spandrel
    model = ModelConfig(architecture=architecture, arguments=NETWORKS[architecture])
    config = msgspec.structs.replace(tiny_config(photos, stages=[StageConfig(iterations=2)]), model=model)
    run = trained(config, tmp_path / "run")
    path = run.models / "tiny.safetensors"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        foreign = spandrel.ModelLoader().load_from_file(path)
    own = build_generator(msgspec.structs.replace(model, start=str(path)), 1).eval()
    picture = torch.rand(1, 3, 16, 24)
    with torch.no_grad():
        assert torch.allclose(foreign.model.eval()(picture), own(picture), atol=1e-5)
    assert foreign.scale == 4


def test_half_precision_halves_the_file(photos: Path, tmp_path: Path) -> None:
    config = tiny_config(photos, stages=[StageConfig(iterations=1)])
    full = trained(config, tmp_path / "one").models / "tiny.safetensors"
    half_config = msgspec.structs.replace(config, save=SaveConfig(every=3, precision="fp16"))
    half = trained(half_config, tmp_path / "two").models / "tiny.safetensors"
    one, two = read_model(full), read_model(half)
    assert half.stat().st_size < 0.75 * full.stat().st_size
    for name, value in one.weights.items():
        assert np.allclose(value, two.weights[name], rtol=1e-3, atol=1e-4)


def test_a_tanh_network_is_trained_and_exported_in_its_own_range(photos: Path, tmp_path: Path) -> None:
    model = ModelConfig(architecture="srresnet", arguments={"features": 8, "blocks": 1, "head": "tanh"})
    generator = Generator(describe_generator(model)).eval()
    picture = torch.rand(1, 3, 8, 8)
    low, high = describe_generator(model).architecture.ranges(describe_generator(model).args)
    with torch.no_grad():
        inner = generator.network(picture * 2 - 1 if low == "-1..1" else picture)
        assert high == "-1..1"
        assert torch.allclose(generator(picture), inner * 0.5 + 0.5)
    config = msgspec.structs.replace(tiny_config(photos, stages=[StageConfig(iterations=2)]), model=model)
    run = trained(config, tmp_path / "run")
    card = read_model(run.models / "tiny.safetensors").card
    assert card.output_range == "-1..1"
