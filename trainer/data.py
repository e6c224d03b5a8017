"""From folders to a loader and to validation examples: everything a run looks at, checked before it starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.errors import Code, PellucidError
from engine.wire_training import TrainingConfig
from trainer.damage import RecipeDamage
from trainer.loader import BatchSource
from trainer.pictures import Picture, find_pictures
from trainer.pixels import PixelCache, picture_size
from trainer.sampling import Sampler
from trainer.validate import Example, make_examples

HELD_OUT = 8
"""Pictures kept out of training for validation where no folder is named for it, a tenth of all at most."""
VALIDATION_SEED = 0
"""The same for every run, so that scores of different runs compare."""


@dataclass(frozen=True, slots=True)
class TrainingPictures:
    train: list[Picture]
    sizes: list[tuple[int, int]]
    """(height, width) of each as stored."""
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
    pictures = [picture for found in sets for picture in found.train]
    validation, from_files = _validation_pictures(config)
    if not validation:
        kept = [picture for found in sets for picture in found.validation]
        validation, from_files = kept, _use_files(config, kept)
    if data.source == "pairs":
        alone = [picture for picture in pictures if picture.damaged is None]
        if alone:
            raise PellucidError(
                Code.FILE_MISSING,
                f"{alone[0].target} has no damaged partner, and {len(alone) - 1} more have none either.",
                "Pairs lie in folders GT and LQ with equal names; or set data.source = recipe.",
                path=str(alone[0].target),
            )
    usable, sizes, small = _measure(pictures, data.crop + 2 * data.context, scale, data.source == "pairs", notices)
    if small:
        notices.append(f"{small} pictures are smaller than the crop of {data.crop} pixels and are left out.")
    if not validation and len(usable) > 1:
        count = min(HELD_OUT, max(1, len(usable) // 10), len(usable) - 1)
        held = [round(place * (len(usable) - 1) / max(count - 1, 1)) for place in range(count)]
        validation = [usable[place] for place in held]
        from_files = _use_files(config, validation)
        chosen = set(held)
        sizes = [size for place, size in enumerate(sizes) if place not in chosen]
        usable = [picture for place, picture in enumerate(usable) if place not in chosen]
        notices.append(f"No folder is named for validation: {count} pictures are kept out of training for it.")
    if not usable:
        raise PellucidError(
            Code.CONFIG,
            f"None of the {len(pictures)} pictures can be used for crops of {data.crop} pixels.",
            "Set data.crop lower, or give larger pictures.",
            key="data.crop",
        )
    limit = config.validation.limit
    return TrainingPictures(usable, sizes, validation[:limit] if limit else validation, from_files, notices)


def _validation_pictures(config: TrainingConfig) -> tuple[list[Picture], bool]:
    pictures: list[Picture] = []
    for folder in config.validation.folders:
        found = find_pictures(Path(folder), config.model.scale)
        pictures += found.validation or found.train
    return pictures, _use_files(config, pictures)


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


def _measure(
    pictures: Sequence[Picture], crop: int, scale: int, pairs: bool, notices: list[str]
) -> tuple[list[Picture], list[tuple[int, int]], int]:
    """The pictures that can be opened and are large enough, their sizes, and how many were too small."""
    usable: list[Picture] = []
    sizes: list[tuple[int, int]] = []
    small = 0
    for picture in pictures:
        try:
            size = picture_size(picture.target)
            partner = picture_size(picture.damaged) if pairs and picture.damaged is not None else None
        except PellucidError as error:
            notices.append(f"Left out: {error.message}")
            continue
        if min(size) < crop:
            small += 1
            continue
        if partner is not None and (partner[0] * scale, partner[1] * scale) != size:
            raise PellucidError(
                Code.IMAGE_UNSUPPORTED,
                f"{picture.target} is {size[1]}x{size[0]}, but its partner {picture.damaged} is "
                f"{partner[1]}x{partner[0]}: not {scale} times smaller.",
                "Check the whole folder: pellucid dataset check DIR.",
                path=str(picture.target),
            )
        usable.append(picture)
        sizes.append(size)
    return usable, sizes, small


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
    cache = PixelCache.create(paths, sizes, data.cache_mb << 20, cache_path)
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


def make_validation(config: TrainingConfig, pictures: TrainingPictures) -> list[Example]:
    damage = None
    if not pictures.validation_from_files and pictures.validation:
        recipe = config.validation.recipe or config.data.recipe
        damage = RecipeDamage.load(recipe, config.model.scale, VALIDATION_SEED, config.data.target, orient=False)
    return make_examples(
        pictures.validation, config.validation, config.model.scale, pictures.validation_from_files, damage
    )
