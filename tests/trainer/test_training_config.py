from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from engine.errors import PellucidError
from engine.models.library import BUNDLED_FOLDER
from engine.wire_training import (
    GanConfig,
    LossConfig,
    PauseRun,
    StageConfig,
    TrainingConfig,
    Warned,
    decode_command,
    decode_event,
    encode_command,
    encode_event,
    format_config,
    parse_config,
    presets_folder,
)
from trainer.config import load_config, preset_names, with_absolute_paths
from trainer.generator import describe_generator

PERCEPTUAL = {
    "face-compact-vivid": "0.losses.1",
    "photo-compact-vivid": "0.losses.1",
    "my-photos-gan": "1.losses.1",
    "s1-gan": "0.losses.1",
    "s3": "1.losses.0",
} | {f"s4-gan-{blocks}": "0.losses.1" for blocks in (16, 23)}


def load_preset(name: str) -> TrainingConfig:
    assignments = [f"stages.{PERCEPTUAL[name]}.weights_file=vgg.safetensors"] if name in PERCEPTUAL else []
    return load_config(name, assignments)


def test_reads_back_what_it_writes_with_every_awkward_character() -> None:
    config = TrainingConfig(
        name='a "quoted" name \\ with\nlines\tand \x7f, 日本 🎞',
        stages=[StageConfig(), StageConfig(gan=GanConfig(), losses=[LossConfig(kind="tv"), LossConfig()])],
    )
    assert parse_config(format_config(config), "x") == config


@pytest.mark.parametrize(
    ("text", "key", "offer"),
    [
        ("sed = 1", "sed", "seed"),
        ("[data]\nbtach = 4", "data.btach", "data.batch"),
        ("[[stages]]\n[stages.gan.discriminator]\nfeature = 4", "stages.0.gan.discriminator.feature", "features"),
        ("[speed]\ndevise = 'cpu'", "speed.devise", "speed.device"),
    ],
)
def test_an_unknown_key_is_an_error_that_offers_the_nearest_name(text: str, key: str, offer: str) -> None:
    with pytest.raises(PellucidError) as caught:
        parse_config(text, "mine.toml")
    assert key in caught.value.message
    assert "mine.toml" in caught.value.message
    assert offer in caught.value.hint


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("data.batch=0", "data.batch"),
        ("data.batch=many", "data.batch"),
        ("data.crop=130", "multiple of the scale"),
        ("stages.0.accumulate=3", "does not divide"),
        ("stages.7.iterations=3", "places 0 to 0"),
        ("stages.0.schedule.kind=step", "period"),
        ("validation.select=st-lpips", "validation.metrics"),
        ("data.batch", "key=value"),
        ("seed.deep=1", "seed"),
    ],
)
def test_a_wrong_value_is_told_with_its_key(assignment: str, words: str) -> None:
    with pytest.raises(PellucidError) as caught:
        load_config("quick-try", [assignment])
    assert words in str(caught.value)


def test_overrides_read_as_toml_and_fall_back_to_text(tmp_path: Path) -> None:
    config = load_config(
        "quick-try",
        ["data.batch=8", "name=my run", "validation.metrics=['psnr']", "stages.0.losses=[{kind='l2'}]", "seed = 7"],
        [str(tmp_path)],
    )
    assert (config.data.batch, config.name, config.validation.metrics, config.seed) == (8, "my run", ["psnr"], 7)
    assert config.stages[0].losses == [LossConfig(kind="l2")]
    assert config.data.train == [str(tmp_path)]


@pytest.mark.parametrize(
    ("text", "assignment", "wanted"),
    [
        ("", "stages.0.iterations=3", lambda c: c.stages[0].iterations == 3),
        ("", "stages.0.losses.0.kind=l2", lambda c: [loss.kind for loss in c.stages[0].losses] == ["l2"]),
        ("", "stages.0.gan.weight=0.5", lambda c: c.stages[0].gan == GanConfig(weight=0.5)),
        ("[[stages]]\n[[stages]]", "stages.1.ema=0", lambda c: [stage.ema for stage in c.stages] == [0.999, 0.0]),
        ("[model]", "model.arguments.features=8", lambda c: c.model.arguments == {"features": 8}),
        ("[[stages]]\n[stages.gan]", "seed=7", lambda c: c.seed == 7 and c.stages[0].gan == GanConfig()),
    ],
)
def test_assignments_reach_what_a_configuration_leaves_to_its_defaults(
    text: str, assignment: str, wanted: Callable[[TrainingConfig], bool], tmp_path: Path
) -> None:
    (tmp_path / "mine.toml").write_text(text)
    assert wanted(load_config(str(tmp_path / "mine.toml"), [assignment]))
    assert load_config(str(tmp_path / "mine.toml"), ["name=training"]) == load_config(str(tmp_path / "mine.toml"))


def test_a_configuration_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_bytes(b"\xef\xbb\xbfseed = 7\n")
    assert load_config(str(tmp_path / "mine.toml")).seed == 7


def test_a_preset_nearly_named_is_offered() -> None:
    with pytest.raises(PellucidError, match="neither a preset nor a file") as caught:
        load_config("quicktry")
    assert "quick-try" in caught.value.hint


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_is_a_whole_configuration(name: str) -> None:
    config = load_preset(name)
    assert parse_config(format_config(config), name) == config
    assert config.description
    assert config.name == name


def test_presets_that_need_foreign_weights_say_which() -> None:
    for name in PERCEPTUAL:
        with pytest.raises(PellucidError, match=r"VGG1[69] weights") as caught:
            load_config(name)
        assert "weights_file" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("s0", 1_517_571),
        ("s1-psnr", 2_251_758),
        ("s1-gan", 2_251_758),
        ("s2-16", 1_517_571),
        ("s2-24", 2_108_419),
        ("s4-pretrain-23", 16_697_987),
        ("s4-gan-23", 16_697_987),
    ],
)
def test_presets_train_the_networks_of_the_reference_systems(name: str, parameters: int) -> None:
    assert describe_generator(load_preset(name).model).parameters == parameters


def test_srgan_is_there_in_both_its_scales() -> None:
    assert describe_generator(load_preset("s3").model).architecture.id == "srresnet"
    config = load_config("s3", [f"stages.{PERCEPTUAL['s3']}.weights_file=vgg.safetensors", "model.scale=2"])
    facts = describe_generator(config.model)
    assert facts.architecture.scale(facts.args) == 2
    assert facts.architecture.ranges(facts.args)[1] == "-1..1"


def test_paths_become_absolute_since_a_run_outlives_its_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = with_absolute_paths(load_config("quick-try", ["model.start=a.safetensors", "data.train=['x']"]))
    assert config.model.start == str(tmp_path / "a.safetensors")
    assert config.data.train == [str(tmp_path / "x")]
    assert config.data.recipe == "bicubic"


def test_a_run_may_start_from_a_model_of_the_library_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = with_absolute_paths(load_config("quick-try", ["model.start=Photo-Compact"]))
    assert config.model.start == str(BUNDLED_FOLDER / "photo-compact.safetensors")
    (tmp_path / "photo-compact").write_bytes(b"a file of this name comes first")
    config = with_absolute_paths(load_config("quick-try", ["model.start=photo-compact"]))
    assert config.model.start == str(tmp_path / "photo-compact")
    for name, sentence in (("photo-compakt", "photo-compact"), ("bicubic", "no weights to begin with")):
        with pytest.raises(PellucidError) as caught:
            with_absolute_paths(load_config("quick-try", [f"model.start={name}"]))
        assert sentence in f"{caught.value.message} {caught.value.hint}"


def test_events_and_commands_come_back_as_they_were() -> None:
    event = Warned(time=1.5, text="ä\n")
    assert encode_event(event).count(b"\n") == 1
    assert decode_event(encode_event(event)) == event
    assert decode_command(encode_command(PauseRun())) == PauseRun()
    with pytest.raises(msgspec.DecodeError):
        decode_command(b'{"type":"Explode"}')


def test_the_messages_need_neither_numpy_nor_torch() -> None:
    code = "import sys, engine.wire_training; print(sorted({'numpy', 'torch', 'PIL'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_command_line_and_the_worker_start_without_torch() -> None:
    code = "import sys, trainer.cli, trainer.worker; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_presets_lie_where_the_windows_look() -> None:
    assert (presets_folder() / "my-photos.toml").is_file()
