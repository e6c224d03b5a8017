"""From folders to a loader and to validation examples: everything a run looks at, checked before it starts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from engine.errors import Code, PellucidError
from engine.wire_training import DataConfig, TrainingConfig
from trainer.config import crop_with_context
from trainer.damage import RecipeDamage
from trainer.discriminators import build_discriminator
from trainer.generator import describe_generator
from trainer.loader import BatchSource
from trainer.pictures import Picture, find_pictures, origin, pictures_to_validate, without_repeats
from trainer.pixels import PixelCache, picture_size
from trainer.sampling import Sampler
from trainer.validate import Example, make_examples, smallest_side

HELD_OUT = 8
"""Pictures kept out of training for validation where no folder is named for it, a tenth of all at most."""
TOLD = 8
"""Pictures left out of validation that are told of one by one."""
VALIDATION_SEED = 0
"""The same for every run, so that scores of different runs compare."""


OTHER_FILES = 8 << 20
"""Bytes for events and previews."""


@dataclass(frozen=True, slots=True)
class TrainingPictures:
    train: list[Picture]
    sizes: list[tuple[int, int]]
    """(height, width) of each, upright."""
    validation: list[Picture]
    validation_from_files: bool
    notices: list[str]
    """Sentences about pictures that were left out, or kept apart."""


def gather_pictures(config: TrainingConfig) -> TrainingPictures:
    """Find the pictures and look at their sizes. Raises when there is nothing to learn from."""
    data, scale = config.data, config.model.scale
    notices: list[str] = []
    if not data.train:
        raise PellucidError(
            Code.CONFIG, "No pictures are named to train on.", "Use --data DIR, or set data.train.", key="data.train"
        )
    sets = [find_pictures(Path(folder), scale) for folder in data.train]
    found = [picture for one in sets for picture in one.train]
    pictures = without_repeats(found)
    if len(pictures) < len(found):
        notices.append(
            f"{_pictures(len(found) - len(pictures))} named more than once, and trained on as often as others."
        )
    named = without_repeats(
        [picture for folder in config.validation.folders for picture in pictures_to_validate(Path(folder), scale)]
    )
    apart = named or without_repeats([picture for one in sets for picture in one.validation])
    told = len(notices)
    validation, from_files = _measure_validation(config, apart, notices), _use_files(config, apart)
    if named and not validation:
        raise PellucidError(
            Code.CONFIG,
            f"None of the {len(named)} validation pictures can be used. {notices[told]}",
            "Name other folders for validation, or none: some pictures are then kept out of training for it.",
            key="validation.folders",
        )
    pictures = _keep_apart(pictures, apart, validation, notices)
    if not pictures:
        raise PellucidError(
            Code.FILE_MISSING,
            f"{sets[0].folder} holds only pictures that its layout ({sets[0].layout}) keeps for validation.",
            "Name a folder of pictures to train on.",
            path=str(sets[0].folder),
        )
    if data.source == "pairs":
        _refuse_lonely(pictures)
    usable, sizes = _measure(pictures, config, notices)
    if not validation:
        validation, usable, sizes = _hold_out(config, usable, sizes, notices)
        from_files = _use_files(config, validation)
    return TrainingPictures(usable, sizes, validation, from_files, notices)


def _keep_apart(
    pictures: list[Picture], apart: Sequence[Picture], validation: Sequence[Picture], notices: list[str]
) -> list[Picture]:
    """The pictures that no validation looks at: its scores would measure memory, not skill. Where all are named for
    both, those that do validate are kept apart."""
    kept = _without(pictures, apart) or _without(pictures, validation)
    if pictures and not kept:
        raise PellucidError(
            Code.CONFIG,
            f"Every picture to train on is named for validation as well: {pictures[0].target}"
            + (f" and {len(pictures) - 1} more." if len(pictures) > 1 else "."),
            "Name other folders for validation, or none: some pictures are then kept out of training for it.",
            key="validation.folders",
        )
    if len(kept) < len(pictures):
        count = _pictures(len(pictures) - len(kept))
        notices.append(f"{count} named both to train on and to validate with, and kept out of training.")
    return kept


def _without(pictures: Sequence[Picture], others: Sequence[Picture]) -> list[Picture]:
    paths = {picture.target.resolve() for picture in others}
    return [picture for picture in pictures if picture.target.resolve() not in paths]


def _refuse_lonely(pictures: Sequence[Picture]) -> None:
    alone = [picture for picture in pictures if picture.damaged is None]
    if alone:
        raise PellucidError(
            Code.FILE_MISSING,
            f"{alone[0].target} has no damaged partner"
            + (f", and {len(alone) - 1} more have none either." if len(alone) > 1 else "."),
            "Pairs lie in folders GT and LQ with equal names; or set data.source = recipe.",
            path=str(alone[0].target),
        )


def _use_files(config: TrainingConfig, pictures: Sequence[Picture]) -> bool:
    """Whether the damaged validation pictures are read rather than made."""
    whole = bool(pictures) and all(picture.damaged is not None for picture in pictures)
    if config.validation.source == "pairs" and pictures and not whole:
        alone = next(picture for picture in pictures if picture.damaged is None)
        raise PellucidError(
            Code.FILE_MISSING,
            f"The validation picture {alone.target} has no damaged partner.",
            "Set validation.source = recipe to make one.",
            path=str(alone.target),
        )
    return whole and config.validation.source != "recipe"


def _measure_validation(config: TrainingConfig, pictures: Sequence[Picture], notices: list[str]) -> list[Picture]:
    """The first `validation.limit` pictures that can be opened and scored."""
    scale, limit = config.model.scale, config.validation.limit
    from_files, side = _use_files(config, pictures), _smallest_scored(config)
    usable: list[Picture] = []
    unfit: list[str] = []
    for picture in pictures:
        if limit and len(usable) == limit:
            break
        try:
            height, width = picture_size(picture.target)
            partner = picture_size(picture.damaged) if from_files and picture.damaged is not None else None
        except PellucidError as error:
            unfit.append(error.message)
            continue
        if min(height, width) < side:
            unfit.append(
                f"{picture.target} is {width}x{height}, and {side}x{side} is the least that "
                f"{' and '.join(config.validation.metrics)} can be measured on."
            )
        elif partner is not None and not _fits_about(partner, (height, width), scale):
            unfit.append(_describe_misfit(picture, (height, width), partner, scale))
        else:
            usable.append(picture)
    notices += [f"Left out of validation: {sentence}" for sentence in unfit[:TOLD]]
    if len(unfit) > TOLD:
        notices.append(f"{_pictures(len(unfit) - TOLD)} left out of validation beside these.")
    return usable


def _smallest_scored(config: TrainingConfig) -> int:
    side, crop = smallest_side(config.validation, config.model.scale), config.validation.crop
    if crop and crop < side:
        raise PellucidError(
            Code.CONFIG,
            f"validation.crop = {crop} leaves too little to measure {' and '.join(config.validation.metrics)} on.",
            f"Set it to {side} at least, or to 0 for whole pictures.",
            key="validation.crop",
        )
    return side


def _fits_about(partner: tuple[int, int], size: tuple[int, int], scale: int) -> bool:
    """Whether the sizes fit but for rows and columns that make no whole pixel of the partner."""
    return all(abs(small * scale - large) < scale for small, large in zip(partner, size, strict=True))


def _describe_misfit(picture: Picture, size: tuple[int, int], partner: tuple[int, int], scale: int) -> str:
    return (
        f"{picture.target} is {size[1]}x{size[0]}, but its partner {picture.damaged} is "
        f"{partner[1]}x{partner[0]}: not {scale} times smaller."
    )


def _measure(
    pictures: Sequence[Picture], config: TrainingConfig, notices: list[str]
) -> tuple[list[Picture], list[tuple[int, int]]]:
    """The pictures that can be opened and are large enough, and their sizes; there is one at least."""
    scale, pairs = config.model.scale, config.data.source == "pairs"
    side = crop_with_context(config.data)
    usable: list[Picture] = []
    sizes: list[tuple[int, int]] = []
    small, fault = 0, ""
    for picture in pictures:
        try:
            size = picture_size(picture.target)
            partner = picture_size(picture.damaged) if pairs and picture.damaged is not None else None
        except PellucidError as error:
            fault = fault or error.message
            notices.append(f"Left out: {error.message}")
            continue
        if min(size) < side:
            small += 1
            continue
        if partner is not None and (partner[0] * scale, partner[1] * scale) != size:
            raise PellucidError(
                Code.IMAGE_UNSUPPORTED,
                _describe_misfit(picture, size, partner, scale),
                "Check the whole folder: pellucid dataset check DIR.",
                path=str(picture.target),
            )
        usable.append(picture)
        sizes.append(size)
    if small:
        notices.append(f"{_pictures(small)} smaller than {_describe_crop(config.data)} and left out.")
    if not usable:
        who = (
            f"The picture {pictures[0].target} cannot"
            if len(pictures) == 1
            else f"None of the {len(pictures)} pictures can"
        )
        raise PellucidError(
            Code.CONFIG,
            f"{who} be used: " + (f"each side has to have {_describe_crop(config.data)}." if small else fault),
            "Set data.crop lower, or give larger pictures."
            if small
            else "Check the folder: pellucid dataset check DIR.",
            key="data.crop" if small else "data.train",
        )
    return usable, sizes


def _describe_crop(data: DataConfig) -> str:
    side = crop_with_context(data)
    if side == data.crop:
        return f"the crop of {side} pixels"
    return f"{side} pixels (a crop of {data.crop} with {data.context} of context on each side)"


def _hold_out(
    config: TrainingConfig, usable: list[Picture], sizes: list[tuple[int, int]], notices: list[str]
) -> tuple[list[Picture], list[Picture], list[tuple[int, int]]]:
    """(validation, the rest, its sizes): a few pictures, spread evenly, where none were given for validation."""
    side = _smallest_scored(config)
    fit = [place for place, size in enumerate(sizes) if min(size) >= side]
    count = min(HELD_OUT, max(1, len(usable) // 10), len(usable) - 1, len(fit))
    if not count:
        reason = (
            "there is only one picture"
            if len(usable) == 1
            else f"no picture has the {side} pixels a side that it takes"
        )
        notices.append(f"No folder is named for validation, and {reason}: this training is not validated.")
        return [], usable, sizes
    held = {fit[round(place * (len(fit) - 1) / max(count - 1, 1))] for place in range(count)}
    validation = [usable[place] for place in sorted(held)]
    origins = {origin(picture) for picture in validation}
    rest = [place for place in range(len(usable)) if origin(usable[place]) not in origins]
    if not rest:
        notices.append("No folder is named for validation, and all pictures are versions of one: not validated.")
        return [], usable, sizes
    others = len(usable) - len(rest) - len(validation)
    notices.append(
        f"No folder is named for validation: {_pictures(count)} kept out of training for it"
        + (f", and so {'is' if others == 1 else 'are'} {others} other versions of the same." if others else ".")
    )
    limit = config.validation.limit
    return (
        validation[:limit] if limit else validation,
        [usable[place] for place in rest],
        [sizes[place] for place in rest],
    )


def _pictures(count: int) -> str:
    return "1 picture is" if count == 1 else f"{count} pictures are"


def make_damage(config: TrainingConfig) -> RecipeDamage | None:
    """None: the damaged pictures are files."""
    data = config.data
    if data.source == "pairs":
        return None
    return RecipeDamage.load(data.recipe, config.model.scale, config.seed, data.target, data.context)


def make_source(
    config: TrainingConfig,
    pictures: TrainingPictures,
    cache_path: Path,
    damage_in_loader: bool = True,
    rank: int = 0,
    processes: int = 1,
) -> BatchSource:
    """What loader processes make batches from; reserves the cache file."""
    data = config.data
    paths = [picture.target for picture in pictures.train]
    sizes = list(pictures.sizes)
    if data.source == "pairs":
        paths += [picture.damaged for picture in pictures.train if picture.damaged is not None]
        sizes += [(height // config.model.scale, width // config.model.scale) for height, width in pictures.sizes]
    sampler = Sampler(config.seed, len(pictures.train), data.augment, data.crops_per_picture, data.shuffle_pool)
    cache = PixelCache.create(paths, sizes, data.cache_mb << 20, cache_path, space_to_save(config))
    return BatchSource(
        cache,
        sampler,
        data.crop,
        config.model.scale,
        data.batch,
        make_damage(config),
        damage_in_loader,
        rank,
        processes,
    )


def space_to_save(config: TrainingConfig) -> int:
    """Bytes that a run's own files may come to take, generously: no cache of pictures may stand in their way.

    A checkpoint holds the weights, two moments of each and their average, of the discriminator nearly as much.
    """
    weights = 4 * describe_generator(config.model).parameters
    judge = 0
    for stage in config.stages:
        if stage.gan is not None:
            with torch.device("meta"):
                network = build_discriminator(stage.gan.discriminator, config.data.crop)
            judge = max(judge, sum(parameter.numel() for parameter in network.parameters()))
    checkpoint = 4 * weights + 3 * 4 * judge
    models = (2 * len(config.stages) + 1) * weights
    return (config.save.keep + 3) * checkpoint + models + OTHER_FILES


def make_validation(config: TrainingConfig, pictures: TrainingPictures, warn: Callable[[str], None]) -> list[Example]:
    """`warn` hears of pictures that turn out to be broken and are passed over. Raises when all are."""
    damage = None
    if not pictures.validation_from_files and pictures.validation:
        recipe = config.validation.recipe or config.data.recipe
        damage = RecipeDamage.load(recipe, config.model.scale, VALIDATION_SEED, config.data.target, orient=False)
    examples, problems = make_examples(
        pictures.validation, config.validation, config.model.scale, pictures.validation_from_files, damage
    )
    for problem in problems:
        warn(f"Left out of validation: {problem}")
    if problems and not examples:
        raise PellucidError(
            Code.FILE_UNREADABLE,
            f"No validation picture can be read; the last fault: {problems[-1]}",
            "Check the folder: pellucid dataset check DIR.",
        )
    return examples
