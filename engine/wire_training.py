"""What a training is and what it says: its configuration, its events, the commands it takes, the layout of its folder.

Standard library and msgspec only, so that a window can build a configuration and follow a run without loading anything
heavy. The configuration travels as TOML, events and commands as JSON.

A run is a folder, and the folder is the truth:

    config.toml     the whole configuration, written once, never changed
    lock            a LockInfo (JSON, padded) of the process that owns the run; held locked while that process lives
    reserve         there while a process works: space given up when the disk is full, for the last events
    events.jsonl    the events below, one a line, only ever appended to
    control/        commands to the run: 00000001.json, 00000002.json, ... each renamed into place
    checkpoints/    everything needed to go on: 00001000.safetensors, ...
    models/         what came out: ordinary model files
    previews/       PICTURE/00001000.png: the same regions over time
"""

from __future__ import annotations

import difflib
import math
import re
import tomllib
import types
import typing
from pathlib import Path
from typing import Annotated, Any, Literal, Union

import msgspec

from engine.errors import Code, PellucidError
from engine.toml_text import parse_toml
from engine.undecodable import spell_out
from engine.wire import decode_json

CONFIG_FILE = "config.toml"
LOCK_FILE = "lock"
RESERVE_FILE = "reserve"
EVENTS_FILE = "events.jsonl"
CONTROL_FOLDER = "control"
CHECKPOINTS_FOLDER = "checkpoints"
MODELS_FOLDER = "models"
PREVIEWS_FOLDER = "previews"

FEW_PICTURES = 100
"""With fewer a network learns these pictures more than pictures of their kind: said, and no more."""

Positive = Annotated[int, msgspec.Meta(ge=1, le=1 << 53)]
NotNegative = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]
Probability = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
NotNegativeFloat = Annotated[float, msgspec.Meta(ge=0.0)]
PositiveFloat = Annotated[float, msgspec.Meta(gt=0.0)]


class _Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


# ---------------------------------------------------------------------------------------------------- configuration


class ModelConfig(_Config, frozen=True):
    """Which network is trained, and from where."""

    architecture: str = "compact-16"
    """Preset as in `pellucid models archs`: compact-16, msrresnet-16, rrdbnet-23, swinir-78, ..."""
    scale: Literal[1, 2, 3, 4, 8] = 4
    arguments: dict[str, int | float | str | bool | list[int]] = {}
    """Arguments of the architecture that differ from the preset's."""
    start: str = ""
    """Model whose weights the run starts from, a file or a name in the library; empty: fresh weights from `seed`."""
    name: str = ""
    """Name of the resulting model; empty: made from the run's name."""
    licence: str = ""
    attribution: list[str] = []


class AugmentConfig(_Config, frozen=True):
    """Done to the sharp picture and its partner alike, before any damage."""

    horizontal_flip: Probability = 0.5
    vertical_flip: Probability = 0.0
    transpose: Probability = 0.5


class DataConfig(_Config, frozen=True):
    """Where pictures come from and what is cut out of them."""

    train: list[str] = []
    """Folders: plain ones (any depth), DIV2K, BSDS500, FFHQ, or pairs (GT/HR beside LQ/LRx4)."""
    source: Literal["recipe", "pairs"] = "recipe"
    """Where the damaged picture comes from: made from the sharp one by `recipe`, or its file in a paired layout."""
    recipe: str = "bicubic"
    """Name of a degradation recipe, or path of a recipe file."""
    target: Literal["recipe", "plain", "sharpened"] = "recipe"
    """What is learnt: what the recipe says, the picture as it is, or sharpened (USM), as RealESRNet does."""
    context: NotNegative = 0
    """Pixels around the crop that the damage sees and that are cut off afterwards; a multiple of the scale."""
    damage_on: Literal["loader", "device"] = "loader"
    """Where pictures are damaged: in the loader's processes, or on the device that trains."""
    batch: Positive = 16
    """Pictures an optimizer step, all processes together."""
    crop: Positive = 128
    """Side of the sharp crop in pixels; a multiple of the scale."""
    augment: AugmentConfig = AugmentConfig()
    crops_per_picture: Positive = 1
    """How many crops are cut out of a picture before the next one is opened: saves decoding."""
    shuffle_pool: NotNegative = 0
    """Samples mixed among themselves before batches are formed, so that crops of one picture do not meet; 0: none."""
    workers: int = -1
    """Processes that prepare batches; -1: chosen by the machine, 0: none beside the trainer."""
    prefetch: Positive = 4
    """Batches each worker prepares ahead."""
    cache_mb: NotNegative = 2048
    """Bound of the decoded pictures kept, in MiB, all workers together; what does not fit is decoded each time."""


class OptimizerConfig(_Config, frozen=True):
    kind: Literal["adam", "adamw", "muon"] = "adam"
    """muon: for kernels from many channels to many; what else there is to learn is AdamW's, with the same rate."""
    learning_rate: PositiveFloat = 2e-4
    betas: tuple[float, float] = (0.9, 0.99)
    momentum: Probability = 0.95
    """muon: how much of a kernel's direction is the past's."""
    epsilon: PositiveFloat = 1e-8
    weight_decay: NotNegativeFloat = 0.0
    clip_norm: NotNegativeFloat = 0.0
    """Largest 2-norm of the gradient over all parameters; 0: not clipped."""


class ScheduleConfig(_Config, frozen=True):
    """Learning rate as a factor of the optimizer's, a function of the stage's iteration alone."""

    kind: Literal["constant", "cosine", "cosine-restarts", "multistep", "step"] = "cosine"
    warmup: NotNegative = 0
    """Iterations of a linear rise from `warmup_start`."""
    warmup_start: Probability = 0.0
    minimum: Probability = 0.0
    """Lowest factor of the cosines."""
    period: NotNegative = 0
    """cosine: iterations to the minimum (0: the stage's length); cosine-restarts, step: iterations of one period."""
    period_growth: Positive = 1
    """cosine-restarts: each period is this many times the one before."""
    milestones: list[int] = []
    factor: Probability = 0.5
    """multistep, step: what the rate is multiplied by."""


class LossConfig(_Config, frozen=True):
    kind: Literal["l1", "l2", "charbonnier", "psnr", "tv", "perceptual"] = "l1"
    weight: float = 1.0
    epsilon: PositiveFloat = 1e-3
    """charbonnier: sqrt(difference^2 + epsilon^2)."""
    network: Literal["vgg16", "vgg19"] = "vgg19"
    weights_file: str = ""
    """perceptual: .safetensors or .pth of the VGG features; not shipped, the user names it."""
    convention: Literal["auto", "caffe", "torchvision"] = "auto"
    """perceptual: what the weights expect: BGR 0..255 minus means, or RGB normalised."""
    layers: dict[str, float] = msgspec.field(default_factory=lambda: {"conv5_4": 1.0})
    """perceptual: layer -> weight; convN_M before its activation, reluN_M after."""
    criterion: Literal["l1", "l2", "direction"] = "l1"
    """perceptual: distance between features; direction: between what they are scaled to length 1, as LPIPS does."""


class DiscriminatorConfig(_Config, frozen=True):
    kind: Literal["unet-sn", "vgg", "patch"] = "unet-sn"
    features: Positive = 24
    dense: Positive = 100
    """vgg: width of the first dense layer."""
    layers: Positive = 3
    """patch: strided layers; 3 sees 70x70."""
    norm: Literal["batch", "instance", "none"] = "batch"
    """vgg, patch. Statistics of the batch at hand, never running ones; wgan-gp wants instance or none."""


class GanConfig(_Config, frozen=True):
    """The adversarial part of a stage. A stage with it alternates a generator step and discriminator steps."""

    loss: Literal["vanilla", "lsgan", "wgan-gp", "hinge", "relativistic"] = "vanilla"
    weight: NotNegativeFloat = 0.1
    discriminator: DiscriminatorConfig = DiscriminatorConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    discriminator_steps: Positive = 1
    """Discriminator updates for one generator update."""
    gradient_penalty: NotNegativeFloat = 10.0
    """wgan-gp: weight of the penalty."""
    start_after: NotNegative = 0
    """Iterations in which only the discriminator learns, at the start of the stage."""


class StageConfig(_Config, frozen=True):
    """A part of the run with its own losses and optimizers; the next stage starts from its result."""

    name: str = ""
    iterations: Positive = 1000
    losses: list[LossConfig] = msgspec.field(default_factory=lambda: [LossConfig()])
    gan: GanConfig | None = None
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    ema: Annotated[float, msgspec.Meta(ge=0.0, lt=1.0)] = 0.999
    """Decay of the running average of the weights, which is what is validated and exported; 0: none."""
    accumulate: Positive = 1
    """Parts a batch is worked through in, to save memory; must divide the batch."""
    hand_over: Literal["best", "last"] = "last"
    """Which weights of this stage the next one starts from."""


class ValidationConfig(_Config, frozen=True):
    folders: list[str] = []
    """Fixed pictures; paired folders use their own damaged files, others get the recipe with a fixed seed."""
    source: Literal["auto", "pairs", "recipe"] = "auto"
    recipe: str = ""
    """Damage of the pictures that bring no damaged partner; empty: data.recipe. Names what is asked of the model where
    training adds hardships that are no part of it."""
    every: NotNegative = 1000
    """Iterations; 0: only at the end of a stage."""
    limit: NotNegative = 16
    """Pictures at most; 0: all."""
    crop: NotNegative = 512
    """Centre region of the sharp picture that is scored; 0: whole."""
    metrics: list[Literal["psnr", "ssim", "st-lpips"]] = msgspec.field(default_factory=lambda: ["psnr", "ssim"])
    protocol: Literal["rgb", "y"] = "y"
    select: Literal["psnr", "ssim", "st-lpips"] = "psnr"
    """Metric that decides which checkpoint is best."""
    previews: NotNegative = 4
    """Pictures of which previews are kept over time."""
    preview_side: Positive = 256
    """Side of a preview region in sharp pixels."""


class SaveConfig(_Config, frozen=True):
    every: Positive = 500
    """Iterations between checkpoints: what a power cut can cost at most."""
    keep: Positive = 2
    """Checkpoints kept, beside the best one."""
    precision: Literal["fp32", "fp16"] = "fp32"
    """Numbers of the exported model."""


class SafetyConfig(_Config, frozen=True):
    nonfinite_limit: Positive = 10
    """So many steps with a non-finite loss or gradient in a row roll the run back."""
    rollbacks: NotNegative = 2
    """Roll-backs, each with the learning rate halved, before the run gives up."""
    discriminator_accuracy: Probability = 0.999
    """A discriminator this sure for `patience` iterations means that the game is over."""
    patience: Positive = 2000
    colour_drift: NotNegativeFloat = 10.0
    """Largest lasting difference of a channel's mean between output and target, in 1/255; 0: not watched."""
    validation_drop: NotNegativeFloat = 4.0
    """Largest loss of validation PSNR in dB against the best of the stage; 0: not watched."""


class SpeedConfig(_Config, frozen=True):
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, ..."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """auto: bf16 autocast where the processor or card computes with it."""
    channels_last: bool = True
    compile: bool = False
    """torch.compile the networks: needs a C++ compiler."""
    cuda_graphs: bool = True
    """On one GPU: record a step once and repeat it, which spares thousands of launches. Not with `deterministic`."""
    threads: NotNegative = 0
    """Threads of the trainer on a CPU; 0: chosen by the machine."""
    deterministic: bool = False
    """On a GPU: only algorithms that repeat bit by bit. A CPU always repeats."""
    log_every: NotNegative = 0
    """Iterations between Progress events; 0: about one a second."""


class TrainingConfig(_Config, frozen=True):
    """A whole training. Everything has a default but the pictures."""

    name: str = "training"
    description: str = ""
    seed: NotNegative = 1
    model: ModelConfig = ModelConfig()
    data: DataConfig = DataConfig()
    stages: Annotated[list[StageConfig], msgspec.Meta(min_length=1)] = msgspec.field(
        default_factory=lambda: [StageConfig()]
    )
    validation: ValidationConfig = ValidationConfig()
    save: SaveConfig = SaveConfig()
    safety: SafetyConfig = SafetyConfig()
    speed: SpeedConfig = SpeedConfig()

    @property
    def iterations(self) -> int:
        return sum(stage.iterations for stage in self.stages)


def presets_folder() -> Path:
    """Where the shipped configurations lie, one TOML file each."""
    return Path(__file__).resolve().parent.parent / "trainer" / "presets"


def parse_config(text: str, source: str) -> TrainingConfig:
    """TOML text -> configuration. `source` names it in errors: an unknown key is one, and offers the nearest name."""
    return config_from_tree(parse_toml(text, source), source)


def config_from_tree(tree: dict[str, Any], source: str) -> TrainingConfig:
    """Nested dictionaries, as tomllib reads them -> configuration, checked."""
    config = _config_of(tree, source)
    _refuse_endless(msgspec.to_builtins(config), "", source)
    check_config(config, source)
    return config


def whole_tree(tree: dict[str, Any], source: str) -> dict[str, Any]:
    """The same with every default filled in, as `format_config` would write it: what `override` may change."""
    return _without_nothing(msgspec.to_builtins(_config_of(tree, source)))


def _without_nothing(table: dict[str, Any]) -> dict[str, Any]:
    """TOML has no word for nothing: a stage without an adversarial part has no such key."""
    filled: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            filled[key] = _without_nothing(value)
        elif isinstance(value, list):
            filled[key] = [_without_nothing(item) if isinstance(item, dict) else item for item in value]
        elif value is not None:
            filled[key] = value
    return filled


def _config_of(tree: dict[str, Any], source: str) -> TrainingConfig:
    _refuse_unknown_keys(tree, TrainingConfig, "", source)
    try:
        return msgspec.convert(tree, TrainingConfig)
    except msgspec.ValidationError as error:
        what, _, place = str(error).partition(" - at ")
        key = place.strip("`").removeprefix("$.") or "the whole"
        raise PellucidError(Code.CONFIG, f"{source}: {key}: {what}.", source=source, key=key) from error


def check_config(config: TrainingConfig, source: str) -> None:
    """Raises for values that are fine alone and wrong together. Looks at no file."""

    def refuse(key: str, message: str, hint: str = "") -> None:
        raise PellucidError(Code.CONFIG, f"{source}: {key}: {message}", hint, source=source, key=key)

    if config.data.crop % config.model.scale:
        refuse("data.crop", f"{config.data.crop} is not a multiple of the scale {config.model.scale}.")
    if config.data.context % config.model.scale:
        refuse("data.context", f"{config.data.context} is not a multiple of the scale {config.model.scale}.")
    if config.data.shuffle_pool and config.data.shuffle_pool < config.data.crops_per_picture:
        refuse(
            "data.shuffle_pool",
            f"a pool of {config.data.shuffle_pool} cannot separate {config.data.crops_per_picture} crops of a picture.",
        )
    if config.validation.select not in config.validation.metrics:
        refuse("validation.select", f"{config.validation.select} is not among validation.metrics.")
    for number, stage in enumerate(config.stages):
        key = f"stages.{number}"
        if config.data.batch % stage.accumulate:
            refuse(f"{key}.accumulate", f"{stage.accumulate} does not divide the batch of {config.data.batch}.")
        if not stage.losses and stage.gan is None:
            refuse(f"{key}.losses", "a stage without losses learns nothing.")
        for part, optimizer in (("", stage.optimizer), ("gan.", stage.gan.optimizer if stage.gan else None)):
            if optimizer is not None and not all(0.0 <= beta < 1.0 for beta in optimizer.betas):
                refuse(f"{key}.{part}optimizer.betas", f"{list(optimizer.betas)} must be at least 0 and below 1.")
            if optimizer is not None and optimizer.momentum == 1.0:
                refuse(f"{key}.{part}optimizer.momentum", "1 is all past: nothing would be learnt.")
        schedule = stage.schedule
        if schedule.kind in ("cosine-restarts", "step") and schedule.period < 1:
            refuse(f"{key}.schedule.period", f"the schedule {schedule.kind} needs a period of at least 1 iteration.")
        if schedule.milestones != sorted(schedule.milestones):
            refuse(f"{key}.schedule.milestones", "milestones must rise.")
        for place, loss in enumerate(stage.losses):
            if loss.kind == "perceptual":
                if not loss.weights_file:
                    refuse(
                        f"{key}.losses.{place}.weights_file",
                        f"the perceptual loss needs {loss.network.upper()} weights, which do not come with Pellucid.",
                        f"Name a file with --set {key}.losses.{place}.weights_file=FILE, or leave this loss out.",
                    )
                for layer in loss.layers:
                    if not re.fullmatch(r"(conv|relu)[1-5]_[1-4]", layer):
                        refuse(f"{key}.losses.{place}.layers", f"{layer} is no layer; they read conv5_4 or relu5_4.")
        gan = stage.gan
        if gan is None or gan.loss != "wgan-gp" or gan.discriminator.kind == "unet-sn":
            continue
        if gan.discriminator.norm == "batch":
            refuse(
                f"{key}.gan.discriminator.norm",
                "the gradient penalty of wgan-gp is undefined across a normalised batch.",
                "Set it to instance or none.",
            )


def _refuse_endless(value: object, key: str, source: str) -> None:
    """TOML knows inf and nan; a training does not."""
    if isinstance(value, dict):
        for name, item in value.items():
            _refuse_endless(item, f"{key}.{name}" if key else str(name), source)
    elif isinstance(value, list | tuple):
        for place, item in enumerate(value):
            _refuse_endless(item, f"{key}.{place}", source)
    elif isinstance(value, float) and not math.isfinite(value):
        raise PellucidError(
            Code.CONFIG, f"{source}: {key}: {value} is no number to train with.", source=source, key=key
        )


def format_config(config: TrainingConfig) -> str:
    """The whole configuration, defaults included, as TOML that parse_config reads back to an equal one."""
    lines: list[str] = []
    _write_table(msgspec.to_builtins(config), "", lines)
    return "\n".join(lines).strip() + "\n"


def _write_table(table: dict[str, Any], prefix: str, lines: list[str]) -> None:
    nested = []
    for key, value in table.items():
        if value is None:
            continue
        is_table_list = isinstance(value, list) and bool(value) and isinstance(value[0], dict)
        if (isinstance(value, dict) and key not in ("arguments", "layers")) or is_table_list:
            nested.append((key, value))
        else:
            lines.append(f"{key} = {format_value(value)}")
    for key, value in nested:
        path = f"{prefix}{key}"
        for table_of_list in value if isinstance(value, list) else [value]:
            lines += ["", f"[[{path}]]" if isinstance(value, list) else f"[{path}]"]
            _write_table(table_of_list, f"{path}.", lines)


def format_value(value: object) -> str:
    """One TOML value on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, str):
        # JSON's escapes are TOML's, except that TOML wants DEL escaped as well.
        return msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(format_value(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{format_value(str(k))} = {format_value(v)}" for k, v in value.items()) + "}"
    raise TypeError(f"TOML has no {type(value).__name__}")


def override(tree: dict[str, Any], assignment: str) -> None:
    """Apply `key.path=value` to nested dictionaries in place; numbers in the path are places in lists.

    The value reads as TOML; what is no TOML is a string, so that paths need no quotes.
    """
    path, separator, text = assignment.partition("=")
    keys = path.strip().split(".")
    if not separator or not all(keys):
        raise PellucidError(Code.USAGE, f"--set {assignment} does not read key=value.", value=assignment)
    try:
        value: Any = tomllib.loads(f"value = {text.strip()}")["value"]
    except (ValueError, RecursionError):
        value = text.strip()
    place: Any = tree
    for depth, key in enumerate(keys):
        last = depth == len(keys) - 1
        if isinstance(place, list):
            if not key.isdigit() or int(key) >= len(place):
                raise PellucidError(
                    Code.CONFIG,
                    f"--set {assignment}: {'.'.join(keys[:depth])} has the places 0 to {len(place) - 1}, not {key}.",
                    value=assignment,
                )
            index: Any = int(key)
        elif isinstance(place, dict):
            index = key
            if not last:
                place.setdefault(key, {})
        else:
            raise PellucidError(
                Code.CONFIG, f"--set {assignment}: {'.'.join(keys[:depth])} is a value, not a table.", value=assignment
            )
        if last:
            place[index] = value
        else:
            place = place[index]


def _struct_of(annotation: Any) -> type[msgspec.Struct] | None:
    """The struct inside an annotation: itself, in a list, optional or annotated."""
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return annotation
    if typing.get_origin(annotation) in (Annotated, Union, types.UnionType, list):
        for part in typing.get_args(annotation):
            found = _struct_of(part)
            if found is not None:
                return found
    return None


def _refuse_unknown_keys(tree: dict[str, Any], struct: type[msgspec.Struct], prefix: str, source: str) -> None:
    fields = typing.get_type_hints(struct, include_extras=True)
    for key, value in tree.items():
        if key not in fields:
            near = difflib.get_close_matches(key, fields, n=1, cutoff=0.4)
            hint = f"Did you mean {prefix}{near[0]}?" if near else f"Known here: {', '.join(sorted(fields))}."
            raise PellucidError(
                Code.CONFIG, f"{source}: there is no key {prefix}{key}.", hint, source=source, key=f"{prefix}{key}"
            )
        inner = _struct_of(fields[key])
        if inner is None:
            continue
        if isinstance(value, dict):
            _refuse_unknown_keys(value, inner, f"{prefix}{key}.", source)
        elif isinstance(value, list):
            for number, item in enumerate(value):
                if isinstance(item, dict):
                    _refuse_unknown_keys(item, inner, f"{prefix}{key}.{number}.", source)


# ----------------------------------------------------------------------------------------------------------- events


class _Event(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    time: float
    """Seconds since 1970."""


class RunStarted(_Event, frozen=True):
    """First event of every process that works on the run. Points after `iteration` in earlier events are void: the
    process goes on from there."""

    pid: int
    version: str
    resumed: bool
    iteration: int
    images: int
    iterations: int
    """Of the whole run."""
    device: str
    precision: str
    threads: int
    workers: int
    processes: int
    parameters: int
    pictures: int


class StageStarted(_Event, frozen=True):
    stage: int
    name: str
    kind: Literal["psnr", "gan"]
    iteration: int
    iterations: int


class Predicted(_Event, frozen=True):
    """From the first steps: what the run will take."""

    seconds_per_iteration: float
    seconds_left: float
    memory_mb: float


class Progress(_Event, frozen=True):
    """Means since the last such event."""

    stage: int
    iteration: int
    images: int
    losses: dict[str, float]
    """Name -> weighted value; `total`; with a GAN also `discriminator`, `accuracy_real`, `accuracy_fake`."""
    learning_rate: float
    gradient_norm: float
    iterations_per_second: float
    loader_wait: float
    """Share of the time spent waiting for data."""
    memory_mb: float
    """Of the process, or of the card."""
    seconds_left: float


class Validated(_Event, frozen=True):
    iteration: int
    images: int
    pictures: int
    protocol: str
    metrics: dict[str, float]
    baseline: dict[str, float]
    """The same of bicubic."""
    best: bool


class PreviewWritten(_Event, frozen=True):
    iteration: int
    picture: str
    path: str
    """Relative to the run folder: a strip of equal panels, left to right."""
    panels: list[str]


class CheckpointSaved(_Event, frozen=True):
    iteration: int
    path: str
    seconds: float


class ModelSaved(_Event, frozen=True):
    iteration: int
    path: str
    kind: Literal["best", "last", "stage"]
    stage: int = 0


class NonFinite(_Event, frozen=True):
    """A step was left out because its loss or gradient was not a number."""

    iteration: int
    in_a_row: int


class RolledBack(_Event, frozen=True):
    """Points after `iteration` are void."""

    iteration: int
    abandoned: int
    """The iteration that had been reached."""
    learning_rate_factor: float
    reason: str


class Warned(_Event, frozen=True):
    text: str


class CommandTaken(_Event, frozen=True):
    number: int
    command: str


class Paused(_Event, frozen=True):
    iteration: int


class Continued(_Event, frozen=True):
    iteration: int


class Finished(_Event, frozen=True):
    iteration: int
    seconds: float
    """Of this process."""


class Stopped(_Event, frozen=True):
    iteration: int
    reason: str


class RunFailed(_Event, frozen=True):
    """An expected failure: a code, a sentence, what to do."""

    iteration: int
    code: str
    message: str
    hint: str = ""


class RunCrashed(_Event, frozen=True):
    """A fault of the program."""

    iteration: int
    message: str
    traceback: str


Event = (
    RunStarted
    | StageStarted
    | Predicted
    | Progress
    | Validated
    | PreviewWritten
    | CheckpointSaved
    | ModelSaved
    | NonFinite
    | RolledBack
    | Warned
    | CommandTaken
    | Paused
    | Continued
    | Finished
    | Stopped
    | RunFailed
    | RunCrashed
)
Terminal = Finished | Stopped | RunFailed | RunCrashed


# --------------------------------------------------------------------------------------------------------- commands


class _Command(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    pass


class PauseRun(_Command, frozen=True):
    """Save, then wait for ContinueRun; memory stays taken."""


class ContinueRun(_Command, frozen=True):
    pass


class StopRun(_Command, frozen=True):
    """Save, then end; the run can be resumed."""


class SaveNow(_Command, frozen=True):
    """Write a checkpoint and the model as it is."""


class ValidateNow(_Command, frozen=True):
    pass


Command = PauseRun | ContinueRun | StopRun | SaveNow | ValidateNow


class LockInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Who works on a run. It works on it as long as the lock file is locked."""

    pid: int
    started: float
    """Start of the process, seconds since 1970: tells a process from a later one of the same number."""
    host: str
    device: str
    heartbeat: float
    """Last sign of life, seconds since 1970; renewed every few seconds, also while paused."""


_encoder = msgspec.json.Encoder()
_event_decoder: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)
_command_decoder: msgspec.json.Decoder[Command] = msgspec.json.Decoder(Command)
_lock_decoder = msgspec.json.Decoder(LockInfo)


def encode_event(event: Event) -> bytes:
    """One line, newline included. It may tell of files whose names are no UTF-8."""
    try:
        return _encoder.encode(event) + b"\n"
    except UnicodeEncodeError:
        return _encoder.encode(_spelled_out(msgspec.to_builtins(event))) + b"\n"


def _spelled_out(value: Any) -> Any:
    if isinstance(value, str):
        return spell_out(value)
    if isinstance(value, dict):
        return {spell_out(key): _spelled_out(inner) for key, inner in value.items()}
    return [_spelled_out(inner) for inner in value] if isinstance(value, list) else value


def decode_event(line: bytes) -> Event:
    """Raises msgspec.DecodeError for anything that is not an event."""
    return decode_json(_event_decoder, line)


def encode_command(command: Command) -> bytes:
    return _encoder.encode(command)


def decode_command(text: bytes) -> Command:
    """Raises msgspec.DecodeError for anything that is not a command."""
    return decode_json(_command_decoder, text)


def encode_lock(info: LockInfo) -> bytes:
    """Padded to 512 bytes, so that renewing it in place is one write of one size."""
    return _encoder.encode(info).ljust(511) + b"\n"


def decode_lock(text: bytes) -> LockInfo:
    """Raises msgspec.DecodeError for anything that is not a lock."""
    return decode_json(_lock_decoder, text.strip(b"\x00 \n"))
