"""Restore pictures: the use case behind the command line, the worker and the evaluation.

A job passes three stations: `Restorer.open` reads the file and decides everything that can be decided before work
starts; `Restorer.run` pulls the picture through the network tile by tile; `Result` finishes the rows and writes the
file. `engine.queue` lets the stations of neighbouring jobs work at the same time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from engine.alpha_plane import AlphaPlane
from engine.errors import Code, DeviceLost, OutOfMemory, PellucidError
from engine.finish import Sink, join_alpha, mix_original, resize, to_grey
from engine.image.buffer import ImageBuffer, Metadata
from engine.image.colour import round_samples, to_srgb
from engine.image.colour_codes import name_of_colours
from engine.image.decode import probe_image, read_image
from engine.image.encode import open_writer
from engine.image.formats import check_limits, choose_bits
from engine.image.naming import Place, choose_format, is_one_place, output_path, spelt_alike
from engine.image.resample import Rows
from engine.image.transparency import bleed_colours, uniform_alpha
from engine.models.blend import blend
from engine.models.files import weights_hash
from engine.models.library import default_model, find_by_hash, find_model, load, stamp_of
from engine.models.model import Model
from engine.options import check_options
from engine.runtime.choose import open_session
from engine.runtime.session import Losable, Session, SessionInfo, Talkative
from engine.tiling.augment import AugmentedSession
from engine.tiling.run import TilingSettings, restore_tiles
from engine.tiling.source import InterleavedSource
from engine.wire import RestoreOptions, RestoreRequest, Size

Samples = npt.NDArray[Any]
"""(rows, width, channels), uint8, uint16 or float32; alpha last."""

RESULT_LIMIT = 16
"""How many times larger than the largest source a result may be."""


class Watch(Protocol):
    """What a job tells while it runs, and what it asks."""

    def tile_done(self, done: int, tiles: int) -> None: ...

    def notice(self, text: str) -> None: ...

    def cancelled(self) -> bool:
        """Asked between tiles, from any thread; it may block, and no new tile starts meanwhile."""
        ...


@dataclass(frozen=True, slots=True)
class Job:
    """A request with its picture open and every decision made. `width`, `height`, `bits`: of the result."""

    request: RestoreRequest
    image: ImageBuffer
    model: Model
    target: Path
    format: str
    bits: int
    width: int
    height: int
    notices: tuple[str, ...] = ()
    """Sentences about what could not be done as it was asked for."""


@dataclass(frozen=True, slots=True)
class AlreadyThere:
    """The result exists, and the user said to skip such files."""

    target: Path


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is decided by a picture's size and kind alone. `width`, `height`: of the result."""

    place: Place
    format: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class _OfOthers:
    """The places that belong to other originals than `source`; the paths are absolute."""

    owners: Mapping[str, Mapping[Path, Path]]
    """As the Restorer has them."""
    source: Path

    def __contains__(self, path: object) -> bool:
        if not isinstance(path, Path):
            return False
        alike = list(self.owners.get(spelt_alike(path), {}).items())  # another thread may add to it
        return any(owner != self.source and is_one_place(place, path) for place, owner in alike)


class Restorer:
    """Opens jobs and runs them, keeping models and sessions between jobs. `open` may be called from any thread."""

    def __init__(self) -> None:
        self._loading = threading.Lock()
        """Of the models. Held for as long as a load takes, so by nobody who has not come for a model."""
        self._naming = threading.Lock()
        """Of the promised places, while one is looked for on the disk."""
        self._promised: dict[str, Path] = {}
        """Places of results that are on their way, by job, so that two jobs never get the same."""
        self._owners: dict[str, dict[Path, Path]] = {}
        """Originals, and results as far as they were named here, with the original that each is of, by what those that
        are spelt alike have in common."""
        self._models: dict[tuple[object, ...], Model] = {}
        self._halves: dict[tuple[object, ...], tuple[Model, str]] = {}
        """The models that blends are made of, with the hashes of their weights: another alpha reads no file."""
        self._sessions: dict[tuple[Any, ...], tuple[Session, Model]] = {}

    def expect(self, source: str) -> None:
        """No result takes the place of this original, whenever its turn comes. Waits for nothing: whoever takes in
        requests calls it, and the next one may be a cancel."""
        original = Path(source).absolute()
        self._owners.setdefault(spelt_alike(original), {})[original] = original

    def open(self, request: RestoreRequest) -> Job | AlreadyThere:
        """Decode, choose the model, name the result, and refuse what cannot work before any work is done."""
        options = request.options
        source = Path(request.source)
        model = self.model_for(options)
        planned: _Plan | None = None
        if options.existing == "skip":
            # Most of them may be there already, and to decode them all would be to wait for nothing.
            facts = probe_image(source)
            planned = self._plan(request, model, facts.width, facts.height, facts.format, facts.alpha)
            if planned.place.skipped:
                return AlreadyThere(planned.place.path)
        image = read_image(source, max_megapixels=options.max_megapixels)
        if options.profile == "srgb":
            image = to_srgb(image)
        if planned is None:
            transparent = image.alpha is not None
            planned = self._plan(request, model, image.width, image.height, image.format, transparent)
        place, kind = planned.place, planned.format
        bits = choose_bits(kind, options.bits, image.bits)
        notices = place.notices + tuple(_left_undone(image, options))
        return Job(request, image, model, place.path, kind, bits, planned.width, planned.height, notices)

    def _plan(
        self, request: RestoreRequest, model: Model, width: int, height: int, own_format: str, transparent: bool
    ) -> _Plan:
        """What comes out of a picture of this size and kind, and where it goes; the place is promised to the job."""
        options, source, target = request.options, Path(request.source), Path(request.target)
        out_width, out_height = final_size(width, height, options.size, model.card.scale)
        if out_width * out_height > RESULT_LIMIT * 1e6 * options.max_megapixels:
            raise PellucidError(
                Code.IMAGE_TOO_LARGE,
                f"The result of {source.name} would have {out_width} x {out_height} pixels, more than the limit of "
                f"{RESULT_LIMIT * options.max_megapixels:g} megapixels.",
                "Ask for a smaller size, or raise the limit with --max-megapixels.",
            )
        kind = choose_format(options.format, target, own_format, transparent)
        check_limits(kind, out_width, out_height)
        with self._naming:
            place = output_path(
                source,
                target,
                root=Path(request.root) if request.root else None,
                format=kind,
                template=options.name,
                fields=_name_fields(options, model, width, out_width, out_height),
                existing=options.existing,
                reserved=self._promised.values(),
                others=_OfOthers(self._owners, source.absolute()),
            )
            result = place.path.absolute()
            self._owners.setdefault(spelt_alike(result), {}).setdefault(result, source.absolute())
            if not place.skipped:
                self._promised[request.job] = place.path
        return _Plan(place, kind, out_width, out_height)

    def end(self, job: str) -> None:
        """The job has ended: its place is taken now, or free."""
        with self._naming:
            self._promised.pop(job, None)

    def model_for(self, options: RestoreOptions) -> Model:
        """The model that the options name, blended with its partner where an alpha is given."""
        check_options(options)
        key = (options.model, stamp_of(options.model), options.partner, stamp_of(options.partner), options.alpha)
        with self._loading:
            if key not in self._models:
                self._models[key] = self._load(options)
                while len(self._models) > _MODELS_KEPT:
                    self._models.pop(next(iter(self._models)))
            return self._models[key]

    def _load(self, options: RestoreOptions) -> Model:
        if options.alpha is None:
            return _named_model(options.model)
        own_key = (options.model, stamp_of(options.model))
        model, own_hash = self._half(own_key, lambda: _named_model(options.model))
        partner_key = (options.partner or ("partner of", own_hash), stamp_of(options.partner))
        partner, partner_hash = self._half(partner_key, lambda: _partner_of(model, options.partner))
        return blend(model, partner, options.alpha, (own_hash, partner_hash))

    def _half(self, key: tuple[object, ...], find: Callable[[], Model]) -> tuple[Model, str]:
        if key not in self._halves:
            while len(self._halves) >= _MODELS_KEPT:
                self._halves.pop(next(iter(self._halves)))
            model = find()
            self._halves[key] = model, weights_hash(model.weights)
        return self._halves[key]

    def session_for(
        self,
        model: Model,
        options: RestoreOptions,
        bulk: bool = False,
        notice: Callable[[str], None] = lambda text: None,
    ) -> Session:
        """A session with this model's weights in it. Models of one architecture share a session, one at a time. Where a
        GPU has too little memory even for the model, or is lost, it is the CPU's, and `notice` is told.

        bulk: for whole pictures, where speed counts more than a quick change of weights.
        """
        try:
            session = self._session(model, options, bulk)
            return AugmentedSession(session) if options.tta else session
        except (OutOfMemory, DeviceLost) as failure:
            if options.device == "cpu":
                raise
            notice(f"{failure.message} The CPU restores instead.")
        precision = options.precision if options.precision == "fp32" else ""
        on_cpu = msgspec.structs.replace(options, backend="", device="cpu", precision=precision)
        return self.session_for(model, on_cpu, bulk)

    def _session(self, model: Model, options: RestoreOptions, bulk: bool) -> Session:
        card = model.card
        key = (
            card.architecture,
            repr(card.arguments) if card.architecture != "foreign" else model.path,
            options.backend,
            options.device,
            options.precision,
            bulk,
        )
        session, loaded = self._sessions.get(key, (None, None))
        if session is not None:
            _check_device(session)
            # It comes back when all has gone well: one that was closed or changed half-way must not serve again.
            del self._sessions[key]
        if session is not None and loaded is not model and session.info.frozen:
            session.close()
            session = None
        if session is None:
            session = open_session(
                model, backend=options.backend, device=options.device, precision=options.precision, frozen=bulk
            )
        elif loaded is not model:
            try:
                session.set_weights(model.weights)
            except BaseException:
                session.close()
                raise
        self._sessions[key] = session, model
        return session

    def close(self) -> None:
        for session, _ in self._sessions.values():
            session.close()
        self._sessions.clear()
        self._models.clear()
        self._halves.clear()


_MODELS_KEPT = 4


def _check_device(session: Session) -> None:
    """Raises DeviceLost where the session's device has stopped working since it was opened."""
    if isinstance(session, Losable):
        session.check()


def _named_model(name: str) -> Model:
    return find_model(name) if name else default_model()


def _partner_of(model: Model, name: str) -> Model:
    """The one that is named, or that the model's card names."""
    if name:
        return find_model(name)
    entry = find_by_hash(model.card.partner)
    if entry is None:
        raise PellucidError(
            Code.MODEL_MISSING,
            f"The model {model.card.name} has no partner to blend with.",
            "Name one with --partner, or leave --alpha out.",
        )
    return load(entry)


def final_size(width: int, height: int, size: Size, scale: int) -> tuple[int, int]:
    """Width and height of the result of a picture of `width` x `height`; sides follow each other in proportion."""
    given = [value for value in (size.scale, size.width, size.height, size.fit) if value is not None]
    if len(given) > 1:
        raise PellucidError(Code.USAGE, "Give the size in one way only: a scale, a width, a height or a box.")
    if size.width is not None:
        factor = size.width / width
    elif size.height is not None:
        factor = size.height / height
    elif size.fit is not None:
        factor = min(size.fit[0] / width, size.fit[1] / height)
    else:
        factor = size.scale if size.scale is not None else scale
    return (
        size.width or max(1, round(width * factor)),
        size.height or max(1, round(height * factor)),
    )


def _left_undone(image: ImageBuffer, options: RestoreOptions) -> Iterator[str]:
    """Sentences about what a user may expect and does not get."""
    if image.several:
        yield "The file holds several pictures (frames or pages), and only the first is restored."
    if options.profile == "srgb" and image.metadata.cicp is not None:
        yield f"The colours are {name_of_colours(image.metadata.cicp)} and were not converted to sRGB."


def _name_fields(options: RestoreOptions, model: Model, source_width: int, width: int, height: int) -> dict[str, str]:
    return {
        "model": model.card.name,
        "scale": f"{width / source_width:.4g}",
        "alpha": "" if options.alpha is None else f"{options.alpha:.4g}",
        "width": str(width),
        "height": str(height),
    }


def run_network(
    image: ImageBuffer,
    model: Model,
    session: Session,
    options: RestoreOptions,
    size: tuple[int, int],
    watch: Watch,
    onward: Sink,
    *,
    bits: int,
) -> None:
    """The picture through the network and to its final size: (rows, width, channels) float32, not clipped, handed to
    `onward` from top to bottom. Channels: 1 for grey and 3 for colour, one more with alpha. `size`: width, height.
    bits: what the rows are going to be rounded to; 32: not at all. Of 8 they may also come as uint8, rounded already,
    where nothing else is to be done with them."""
    if image.alpha is None:
        _run_colour(image, model, session, options, size, watch, onward, 0, 1, packed=bits == 8)
        return
    if (opacity := uniform_alpha(image.alpha)) is not None:
        # Nothing to enlarge, and no colours to bleed.
        _run_colour(
            ImageBuffer(image.colour), model, session, options, size, watch, _with_opacity(onward, opacity), 0, 1
        )
        return
    width, height = size
    with AlphaPlane(height, width, bits) as plane:
        # Alpha goes through the same network first, so that its edges are where the colours' edges are.
        grey = ImageBuffer(image.alpha[:, :, None])
        _run_colour(grey, model, session, options, size, watch, plane.append, 0, 2)
        bled = ImageBuffer(bleed_colours(image.colour, image.alpha))
        _run_colour(bled, model, session, options, size, watch, join_alpha(onward, plane.finished()), 1, 2)


def _with_opacity(onward: Sink, opacity: float) -> Sink:
    return lambda rows: onward(np.pad(rows, ((0, 0), (0, 0), (0, 1)), constant_values=opacity))


def _run_colour(
    image: ImageBuffer,
    model: Model,
    session: Session,
    options: RestoreOptions,
    size: tuple[int, int],
    watch: Watch,
    onward: Sink,
    part: int,
    parts: int,
    packed: bool = False,
) -> None:
    """One of `parts` passes of opaque pixels."""
    source = InterleavedSource(image.colour)
    info = session.info
    turning = AugmentedSession if options.tta else _as_it_is
    scale = info.scale
    width, height = size
    sink = resize(onward, image.height * scale, image.width * scale, height, width)
    if image.is_grey:
        sink = to_grey(sink)
    sink = mix_original(sink, source, scale, options.strength)
    restore_tiles(
        source,
        session,
        on_band=lambda _top, _bottom, rows: sink(rows),
        settings=TilingSettings(tile=options.tile, halo=options.halo, wrap=options.tileable),
        on_tile=lambda done, tiles: watch.tile_done(part * tiles + done, parts * tiles),
        on_notice=watch.notice,
        cancelled=watch.cancelled,
        fallback=None if info.device == "cpu" else lambda: turning(_open_on_cpu(model, options)),
        stronger=None if info.precision == "fp32" else lambda: turning(_open_stronger(model, info)),
        packed=packed and sink is onward,
    )
    if isinstance(session, Talkative):
        for text in session.take_notices():
            watch.notice(text)


def _as_it_is(session: Session) -> Session:
    return session


def _open_on_cpu(model: Model, options: RestoreOptions) -> Session:
    """In what precision it likes, unless the highest was asked for."""
    return open_session(model, device="cpu", precision="fp32" if options.precision == "fp32" else "")


def _open_stronger(model: Model, info: SessionInfo) -> Session:
    """In fp32, where the session of `info` runs. On GPUs that is torch's: TensorRT serves narrow precisions only."""
    backend = info.backend if info.device == "cpu" else "torch"
    return open_session(model, backend=backend, device=info.device, precision="fp32")


def restore_pixels(
    image: ImageBuffer, model: Model, session: Session, options: RestoreOptions, watch: Watch | None = None
) -> ImageBuffer:
    """The restored picture as an array, at the network's own scale, with as many bits as the source."""
    watch = watch or Unwatched()
    width, height = image.width * session.info.scale, image.height * session.info.scale
    pieces: list[Samples] = []
    run_network(
        image,
        model,
        session,
        options,
        (width, height),
        watch,
        lambda rows: pieces.append(_rounded(rows, image.bits)),
        bits=image.bits,
    )
    samples = np.concatenate(pieces)
    colours = image.colour.shape[2]
    return image.with_pixels(samples[:, :, :colours], samples[:, :, colours] if image.alpha is not None else None)


def _rounded(rows: Rows, bits: int) -> Samples:
    """Rows of floats in whole steps; rows that came packed are that already."""
    return rows if rows.dtype == np.uint8 else round_samples(rows, bits)


class Unwatched:
    """For work that nobody watches and nobody cancels."""

    def tile_done(self, done: int, tiles: int) -> None:
        pass

    def notice(self, text: str) -> None:
        pass

    def cancelled(self) -> bool:
        return False


class Result:
    """The file that a job makes: finishes rows, writes them under a temporary name, and puts it in place when whole."""

    def __init__(self, job: Job) -> None:
        image, options = job.image, job.request.options
        kept = image.metadata if options.keep_metadata else Metadata(icc=image.metadata.icc, cicp=image.metadata.cicp)
        self._bits = job.bits
        self._notices = job.notices
        self._writer = open_writer(
            job.target,
            job.format,
            width=job.width,
            height=job.height,
            channels=image.colour.shape[2],
            alpha=image.alpha is not None,
            bits=job.bits,
            quality=options.quality,
            metadata=kept,
            overwrite=options.existing == "overwrite",
        )

    @property
    def notices(self) -> tuple[str, ...]:
        """Sentences about what could not be kept, or not be done."""
        return self._notices + self._writer.notices

    def write(self, rows: Rows) -> Samples:
        """Rows as `run_network` hands them on; gives back what was written."""
        samples = _rounded(rows, self._bits)
        self._writer.write_rows(samples)
        return samples

    def commit(self) -> Path:
        """Put the verified file in its place; the path may have got a number if another file took the name."""
        return self._writer.commit()

    def abort(self) -> None:
        """Leave nothing behind. Harmless when called again or too late."""
        self._writer.abort()
