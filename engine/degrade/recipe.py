"""Recipes: what may happen to a picture, how likely, and within which ranges. Every number is data in a TOML file.

A recipe is a list of stages. A stage happens with its `probability`, picks one of its weighted choices and draws each
parameter from a `Span`. Three stages hold other stages: `sequence` (all, in order), `choose` (one branch) and `shuffle`
(all, in an order drawn for each sample). So the second-order recipe, the first-order one, BSRGAN's shuffle and plain
bicubic are the same engine reading different files.
"""

from __future__ import annotations

import difflib
import hashlib
import math
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any, Literal, Self, get_args

import msgspec
from msgspec import inspect

from engine.errors import Code, PellucidError
from engine.toml_text import parse_toml, read_text
from kernels.ops import LONGEST_ROW

Spread = Literal["even", "log", "square", "reciprocal"]
Shape = Literal[
    "isotropic",
    "anisotropic",
    "generalised-isotropic",
    "generalised-anisotropic",
    "plateau-isotropic",
    "plateau-anisotropic",
    "sinc",
]
FilterName = Literal["nearest", "area", "bilinear", "bicubic", "lanczos"]
SubsamplingName = Literal["4:4:4", "4:2:2", "4:2:0"]

MirrorName = Literal["none", "horizontal", "vertical", "both"]

SMALLEST_SCALE = 1.0 / 16.0
LARGEST_SCALE = 16.0
SIZES = (3, 63)
RADII = (2, 127)
ANGLES = (-100.0, 100.0)
PIECES = 4
"""Most pieces of a range."""
WEIGHTS = (1e-6, 1e6)
"""Beside 0; products of some of them are still numbers."""
MOST_STAGES = 0x3FFF
MOST_OPERATIONS = LONGEST_ROW - 1
"""To one picture: a row of records keeps a place for its END."""


class _Value:
    """An immutable value with its own TOML form. Plain classes: msgspec would read a dataclass as a table."""

    __slots__: tuple[str, ...] = ()

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable")

    def _facts(self) -> tuple[object, ...]:
        return tuple(getattr(self, name) for name in self.__slots__)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and isinstance(other, _Value) and other._facts() == self._facts()

    def __hash__(self) -> int:
        return hash(self._facts())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self._facts()))})"


class Span(_Value):
    """A range to draw from. In TOML: `5`, `[0.2, 3]`, `[[0.5, 1], [1, 4]]` (one of the pieces, equally likely) or
    `{ between = [0.1, 3], spread = "log" }`.

    `spread` names the function of the value that is uniform: even (the value), log, square or reciprocal.
    """

    __slots__ = ("pieces", "spread")
    pieces: tuple[tuple[float, float], ...]
    spread: Spread

    def __init__(self, pieces: tuple[tuple[float, float], ...], spread: Spread = "even") -> None:
        if len(pieces) > PIECES:
            raise ValueError(
                f"a range has at most {PIECES} pieces, not {len(pieces)}; write two choices with weights instead"
            )
        object.__setattr__(self, "pieces", pieces)
        object.__setattr__(self, "spread", spread)

    @classmethod
    def parse(cls, raw: object) -> Self:
        if isinstance(raw, dict):
            unknown = set(raw) - {"between", "spread"}
            if unknown or "between" not in raw:
                raise ValueError("a range written as a table has the keys `between` and `spread` only")
            spread = raw.get("spread", "even")
            if spread not in get_args(Spread):
                known = get_args(Spread)
                raise ValueError(f"spread {spread!r} is none of {', '.join(known)}{nearest(str(spread), known)}")
            plain = cls.parse(raw["between"])
            if spread != "even" and plain.low <= 0:
                raise ValueError(f"a {spread} spread needs values above 0, not {plain.low:g}")
            return cls(plain.pieces, spread)
        if isinstance(raw, int | float) and not isinstance(raw, bool):
            raw = [raw, raw]
        if not isinstance(raw, list) or not raw:
            raise ValueError(f"a range is a number, [low, high] or a list of such pairs, not {raw!r}")
        pieces = [_pair(piece) for piece in raw] if isinstance(raw[0], list) else [_pair(raw)]
        return cls(tuple(pieces))

    def plain(self) -> object:
        """The same as TOML and JSON say it."""
        pairs: list[Any] = [list(piece) for piece in self.pieces]
        between = pairs[0] if len(pairs) == 1 else pairs
        return between if self.spread == "even" else {"between": between, "spread": self.spread}

    @property
    def low(self) -> float:
        return min(low for low, _ in self.pieces)

    @property
    def high(self) -> float:
        return max(high for _, high in self.pieces)

    def within(self, what: str, low: float, high: float = math.inf) -> None:
        if not (low <= self.low and self.high <= high):
            limit = f"at least {low:g}" if high == math.inf else f"within {low:g} to {high:g}"
            raise ValueError(f"`{what}` must be {limit}, not {self.low:g} to {self.high:g}")

    def whole(self, what: str) -> None:
        for piece in self.pieces:
            if any(end != round(end) for end in piece):
                raise ValueError(f"`{what}` takes whole numbers, not {piece[0]:g} to {piece[1]:g}")


class Weights(_Value):
    """Names with relative weights. In TOML a name, a list of names (equally likely) or a table `{ area = 1 }`."""

    __slots__ = ("items",)
    items: tuple[tuple[str, float], ...]

    def __init__(self, items: tuple[tuple[str, float], ...]) -> None:
        object.__setattr__(self, "items", items)

    @classmethod
    def parse(cls, raw: object) -> Self:
        if isinstance(raw, str):
            raw = [raw]
        if isinstance(raw, list) and all(isinstance(name, str) for name in raw):
            raw = dict.fromkeys(raw, 1)
        if not isinstance(raw, dict) or not raw:
            raise ValueError(f"weights are a name, a list of names or a table of name = weight, not {raw!r}")
        items = []
        for name, weight in raw.items():
            if isinstance(weight, bool) or not isinstance(weight, int | float):
                raise ValueError(f"the weight of `{name}` must be a number, not {weight!r}")
            _weight(f"the weight of `{name}`", weight)
            items.append((str(name), float(weight)))
        return cls(tuple(items))

    def plain(self) -> object:
        return dict(self.items)

    def among(self, what: str, names: tuple[str, ...]) -> None:
        for name, _ in self.items:
            if name not in names:
                raise ValueError(f"`{what}` knows {', '.join(names)}, not {name!r}{nearest(name, names)}")
        _some_weight(what, [weight for _, weight in self.items])


_BEYOND_NUMBERS = 1e300


def _pair(raw: object) -> tuple[float, float]:
    numbers = (
        isinstance(raw, list)
        and len(raw) == 2
        and all(isinstance(end, int | float) and not isinstance(end, bool) for end in raw)
    )
    if not numbers:
        raise ValueError(f"a range is a number, [low, high] or a list of such pairs, not {raw!r}")
    assert isinstance(raw, list)
    if not all(abs(end) < _BEYOND_NUMBERS for end in raw):  # also NaN, and whole numbers of any length
        raise ValueError("a range has finite ends")
    low, high = float(raw[0]), float(raw[1])
    if low > high:
        raise ValueError(f"the range [{low:g}, {high:g}] runs backwards")
    return low, high


def _probability(what: str, value: float) -> None:
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"`{what}` is a probability within 0 to 1, not {value:g}")


def _weight(what: str, value: float) -> None:
    low, high = WEIGHTS
    if value != 0 and not low <= value <= high:
        raise ValueError(f"{what} must be 0 or within {low:g} to {high:g}")


def _some_weight(what: str, weights: list[float]) -> None:
    if not weights or sum(weights) <= 0:
        raise ValueError(f"`{what}` needs at least one entry with a weight above 0")


def _some_stages(what: str, stages: tuple[Stage, ...]) -> None:
    if not stages:
        raise ValueError(f"`{what}` needs at least one stage")


def _blur_ranges(size: Span | None, sigma: Span | None, angle: Span | None) -> None:
    if size is not None:
        size.within("size", *SIZES)
        for piece in size.pieces:
            if any(end % 2 != 1 for end in piece):
                raise ValueError(f"`size` runs between odd numbers, not {piece[0]:g} to {piece[1]:g}")
    if sigma is not None:
        sigma.within("sigma", 0.05, 64)
    if angle is not None:
        angle.within("angle", *ANGLES)


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """Common to everything a recipe is made of."""


class _Stage(_Part, tag_field="kind", frozen=True, kw_only=True):
    """Common to every stage."""

    probability: float = 1.0
    name: str = ""

    def __post_init__(self) -> None:
        _probability("probability", self.probability)


class BlurChoice(_Part, frozen=True, kw_only=True):
    """One family of blur kernels. Ranges left out are those of the stage."""

    shape: Shape
    weight: float = 1.0
    size: Span | None = None
    sigma: Span | None = None
    angle: Span | None = None
    beta: Span | None = None
    cutoff: Span | None = None

    def __post_init__(self) -> None:
        _weight("`weight`", self.weight)
        sinc = self.shape == "sinc"
        if sinc != (self.cutoff is not None):
            raise ValueError("a sinc needs `cutoff`" if sinc else f"`cutoff` belongs to a sinc, not to {self.shape}")
        shaped = self.shape.startswith(("generalised", "plateau"))
        if shaped != (self.beta is not None):
            raise ValueError(f"{self.shape} needs `beta`" if shaped else f"`beta` means nothing to {self.shape}")
        if sinc and (self.sigma is not None or self.angle is not None):
            raise ValueError("`sigma` and `angle` mean nothing to a sinc")
        if self.beta is not None:
            self.beta.within("beta", 0.05, 32)
        if self.cutoff is not None:
            self.cutoff.within("cutoff", 0.01, math.pi + 1e-6)
        _blur_ranges(self.size, self.sigma, self.angle)


class Blur(_Stage, tag="blur", frozen=True, kw_only=True):
    """Convolution with a kernel drawn for the sample. Sizes are odd; sigma in pixels; angle and cutoff in radians.
    `tolerance` above 0 lets the kernel be a sum of a few separable ones, off by at most that, which is faster."""

    choices: tuple[BlurChoice, ...]
    size: Span
    sigma: Span | None = None
    angle: Span = Span(((-math.pi, math.pi),))
    tolerance: float = 0.0

    def __post_init__(self) -> None:
        _Stage.__post_init__(self)
        _some_weight("choices", [choice.weight for choice in self.choices])
        _blur_ranges(self.size, self.sigma, self.angle)
        if not 0.0 <= self.tolerance <= 0.1:
            raise ValueError(f"`tolerance` must be within 0 to 0.1, not {self.tolerance:g}")
        for choice in self.choices:
            if choice.shape != "sinc" and choice.sigma is None and self.sigma is None:
                raise ValueError(f"{choice.shape} needs `sigma`, in the choice or in the stage")


class ResizeChoice(_Part, frozen=True, kw_only=True):
    """One kind of resize, such as up, down or keep."""

    scale: Span
    weight: float = 1.0

    def __post_init__(self) -> None:
        _weight("`weight`", self.weight)
        self.scale.within("scale", SMALLEST_SCALE, LARGEST_SCALE)


class Resize(_Stage, tag="resize", frozen=True, kw_only=True):
    """Resize to `scale` times the size named by `of`: the current one, the source's, or the final target's.
    `grid = "scale"` samples at steps of exactly 1 / scale, `"size"` at steps that fit both sizes in whole pixels."""

    choices: tuple[ResizeChoice, ...] = (ResizeChoice(scale=Span(((1.0, 1.0),))),)
    of: Literal["current", "source", "target"] = "current"
    filters: Weights
    antialias: bool = True
    grid: Literal["size", "scale"] = "size"

    def __post_init__(self) -> None:
        _Stage.__post_init__(self)
        _some_weight("choices", [choice.weight for choice in self.choices])
        if self.grid == "scale" and self.of != "current":
            raise ValueError('`grid = "scale"` goes with `of = "current"`')
        self.filters.among("filters", get_args(FilterName))


class NoiseChoice(_Part, frozen=True, kw_only=True):
    """gaussian: `sigma` in 0..255 units, `grey` the probability of one field for all channels. correlated: `sigma`,
    with a covariance between the channels drawn for the sample. poisson: `strength` multiplies the shot noise;
    `levels` is the number of grey levels (256 is usual; 0 counts the picture's own, rounded up to a power of two)."""

    type: Literal["gaussian", "correlated", "poisson"]
    weight: float = 1.0
    sigma: Span | None = None
    strength: Span | None = None
    levels: int | None = None
    grey: float = 0.0

    def __post_init__(self) -> None:
        _weight("`weight`", self.weight)
        _probability("grey", self.grey)
        poisson = self.type == "poisson"
        if poisson != (self.strength is not None) or poisson == (self.sigma is not None):
            raise ValueError(f"{self.type} noise takes `{'strength' if poisson else 'sigma'}` only")
        if not poisson and self.levels is not None:
            raise ValueError("`levels` belongs to poisson noise")
        if self.type == "correlated" and self.grey:
            raise ValueError("correlated noise cannot be grey")
        if self.sigma is not None:
            self.sigma.within("sigma", 0, 255)
        if self.strength is not None:
            self.strength.within("strength", 0, 64)
        if self.levels is not None and self.levels not in (0, 1, 2, 4, 8, 16, 32, 64, 128, 256):
            raise ValueError(f"`levels` is 0 or a power of two up to 256, not {self.levels}")


class Noise(_Stage, tag="noise", frozen=True, kw_only=True):
    """Added noise, then a clip to 0..1."""

    choices: tuple[NoiseChoice, ...]

    def __post_init__(self) -> None:
        _Stage.__post_init__(self)
        _some_weight("choices", [choice.weight for choice in self.choices])


class Jpeg(_Stage, tag="jpeg", frozen=True, kw_only=True):
    """JPEG compression, as libjpeg-turbo does it. Whole-numbered quality 1..100."""

    quality: Span
    subsampling: Weights = Weights((("4:2:0", 1.0),))

    def __post_init__(self) -> None:
        _Stage.__post_init__(self)
        self.quality.within("quality", 1, 100)
        self.quality.whole("quality")
        self.subsampling.among("subsampling", get_args(SubsamplingName))


class Webp(_Stage, tag="webp", frozen=True, kw_only=True):
    """Lossy WebP compression, on the host. Whole-numbered quality 1..100."""

    quality: Span

    def __post_init__(self) -> None:
        _Stage.__post_init__(self)
        self.quality.within("quality", 1, 100)
        self.quality.whole("quality")


class Sharpen(_Stage, tag="sharpen", frozen=True, kw_only=True):
    """Unsharp mask where the picture differs from its blur by more than `threshold` (0..255 units)."""

    radius: Span = Span(((50.0, 50.0),))
    weight: Span = Span(((0.5, 0.5),))
    threshold: Span = Span(((10.0, 10.0),))

    def __post_init__(self) -> None:
        _Stage.__post_init__(self)
        self.radius.within("radius", *RADII)
        self.radius.whole("radius")
        self.weight.within("weight", 0, 10)
        self.threshold.within("threshold", 0, 255)


class Dropout(_Stage, tag="dropout", frozen=True, kw_only=True):
    """Rectangles filled with one value. `height` and `width` are shares of the picture's sides, `fill` is 0..1."""

    holes: Span = Span(((1.0, 2.0),))
    height: Span = Span(((0.1, 0.2),))
    width: Span = Span(((0.1, 0.2),))
    fill: Span = Span(((0.0, 0.0),))

    def __post_init__(self) -> None:
        _Stage.__post_init__(self)
        self.holes.within("holes", 1, 16)
        self.holes.whole("holes")
        if len(self.holes.pieces) > 1 or self.holes.spread != "even":
            raise ValueError("`holes` is a number or [low, high]")
        self.height.within("height", 0, 1)
        self.width.within("width", 0, 1)
        self.fill.within("fill", 0, 1)


class Flip(_Stage, tag="flip", frozen=True, kw_only=True):
    """Mirrors and transposition, each with its own probability; all three at 0.5 are the eight orientations.
    Or one of weighted `mirror`s (vertical, horizontal, both, none) in place of `horizontal` and `vertical`."""

    horizontal: float = 0.0
    vertical: float = 0.0
    transpose: float = 0.0
    mirror: Weights | None = None

    def __post_init__(self) -> None:
        _Stage.__post_init__(self)
        for what in ("horizontal", "vertical", "transpose"):
            _probability(what, getattr(self, what))
        if self.mirror is not None:
            self.mirror.among("mirror", get_args(MirrorName))
            if self.horizontal or self.vertical:
                raise ValueError("`mirror` takes the place of `horizontal` and `vertical`; leave those out")


class Round(_Stage, tag="round", frozen=True, kw_only=True):
    """Clamp to 0..1 and round to 8 bits."""


class Sequence(_Stage, tag="sequence", frozen=True, kw_only=True):
    """Stages that happen together, in the written order."""

    stages: tuple[Stage, ...]

    def __post_init__(self) -> None:
        _Stage.__post_init__(self)
        _some_stages("stages", self.stages)


class Branch(_Part, frozen=True, kw_only=True):
    """One way a `choose` stage can go; without stages nothing happens."""

    stages: tuple[Stage, ...]
    weight: float = 1.0

    def __post_init__(self) -> None:
        _weight("`weight`", self.weight)


class Choose(_Stage, tag="choose", frozen=True, kw_only=True):
    """One of the branches."""

    branches: tuple[Branch, ...]

    def __post_init__(self) -> None:
        _Stage.__post_init__(self)
        _some_weight("branches", [branch.weight for branch in self.branches])
        _some_stages("branches", tuple(stage for branch in self.branches for stage in branch.stages))


class Shuffle(_Stage, tag="shuffle", frozen=True, kw_only=True):
    """All stages, in an order drawn for each sample; those named in `keep_order` keep their order among themselves."""

    stages: tuple[Stage, ...]
    keep_order: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _Stage.__post_init__(self)
        names = [stage.name for stage in self.stages if stage.name]
        for name in self.keep_order:
            if names.count(name) != 1:
                raise ValueError(
                    f"`keep_order` names {name!r}, and {names.count(name)} stages of the shuffle have that name"
                )
        _some_stages("stages", self.stages)


# A flip is no stage: it must happen to the target as well, so it stands in `orient`.
Stage = Blur | Resize | Noise | Jpeg | Webp | Sharpen | Dropout | Round | Sequence | Choose | Shuffle


class SourceSharpening(_Part, frozen=True, kw_only=True):
    """Unsharp mask of the source before the damage. `target`: the training target is the sharpened picture too."""

    radius: int = 50
    weight: float = 0.5
    threshold: float = 10.0
    target: bool = True

    def __post_init__(self) -> None:
        Span.parse(self.radius).within("radius", *RADII)
        Span.parse(self.weight).within("weight", 0, 10)
        Span.parse(self.threshold).within("threshold", 0, 255)


class Recipe(_Part, frozen=True, kw_only=True):
    """A whole recipe. `orient` happens to source and target alike; `stages` make the damaged picture from the source;
    what they leave is resized to (height // scale, width // scale) if it is not that size already."""

    name: str
    description: str = ""
    scale: int = 4
    orient: tuple[Flip, ...] = ()
    sharpen: SourceSharpening | None = None
    stages: tuple[Stage, ...]

    def __post_init__(self) -> None:
        if not 1 <= self.scale <= 16:
            raise ValueError(f"`scale` must be within 1 to 16, not {self.scale}")
        if not self.stages:
            raise ValueError("a recipe needs at least one stage")
        if (count := _count_stages(self.stages)) > MOST_STAGES:
            raise ValueError(f"a recipe has at most {MOST_STAGES} stages, and this one has {count}")
        if len(self.orient) >= MOST_OPERATIONS:  # a crop may come before them
            raise ValueError(f"`orient` takes at most {MOST_OPERATIONS - 1} flips, not {len(self.orient)}")
        most = _most_operations(self.stages) + 2 + (self.sharpen is not None)
        if most > MOST_OPERATIONS:
            raise ValueError(
                f"a recipe does at most {MOST_OPERATIONS} operations to a picture, and this one may do {most}, "
                "counting the sharpening, the resize to the target and the rounding"
            )

    @property
    def digest(self) -> str:
        """Sixteen hex digits that name the content: a changed number changes them, a changed comment does not."""
        return hashlib.sha256(recipe_json(self)).hexdigest()[:16]


def _count_stages(stages: tuple[Stage, ...]) -> int:
    return sum(1 + sum(map(_count_stages, _held(stage))) for stage in stages)


def _most_operations(stages: tuple[Stage, ...]) -> int:
    """How many operations these stages do to one picture when all of them happen."""
    return sum(
        int(stage.holes.high) if isinstance(stage, Dropout) else max(map(_most_operations, _held(stage)), default=1)
        for stage in stages
    )


def _held(stage: Stage) -> list[tuple[Stage, ...]]:
    """The lists of stages in a stage, of which one happens; none where it is an operation itself."""
    if isinstance(stage, Choose):
        return [branch.stages for branch in stage.branches]
    return [stage.stages] if isinstance(stage, Sequence | Shuffle) else []


def nearest(word: str, known: tuple[str, ...] | list[str]) -> str:
    """`; did you mean "..."?`, or nothing when nothing is near."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f'; did you mean "{close[0]}"?' if close else ""


def bundled_recipes() -> list[str]:
    """The names of the recipes that come with Pellucid."""
    folder = resources.files("engine.degrade") / "recipes"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def load_recipe(name_or_path: str | Path) -> Recipe:
    """A bundled recipe by its name, or a TOML file by its path."""
    text, source = _recipe_text(name_or_path)
    return parse_recipe(text, source)


def recipe_source(name_or_path: str | Path) -> str:
    """The TOML text of a recipe with its comments: the thing to copy and edit."""
    return _recipe_text(name_or_path)[0]


def parse_recipe(text: str, source: str = "the recipe") -> Recipe:
    """The recipe that a TOML text describes; `source` names it in errors."""
    return recipe_from_plain(parse_toml(text, source, "Compare it with a bundled recipe."), source)


def recipe_from_plain(raw: object, source: str = "the recipe") -> Recipe:
    """The recipe that plain dicts, lists and numbers describe (what TOML and JSON decode to)."""
    for problem in _unknown_names(raw, inspect.type_info(Recipe), ""):
        raise PellucidError(Code.CONFIG, f"{source}: {problem}", "Correct it and try again.", source=source)
    try:
        return msgspec.convert(raw, Recipe, dec_hook=_decode)
    except msgspec.ValidationError as error:
        raise PellucidError(
            Code.CONFIG, f"{source}: {_sentence(error)}", "Correct it and try again.", source=source
        ) from error


def recipe_plain(recipe: Recipe) -> dict[str, Any]:
    """The recipe as plain dicts, lists and numbers; `recipe_from_plain` reads it back to an equal one."""
    plain: dict[str, Any] = msgspec.to_builtins(recipe, enc_hook=_encode)
    return plain


def recipe_json(recipe: Recipe) -> bytes:
    """The recipe as JSON with sorted keys: one content, one text."""
    return msgspec.json.encode(recipe_plain(recipe), order="sorted")


def _recipe_text(name_or_path: str | Path) -> tuple[str, str]:
    name = str(name_or_path)
    if isinstance(name_or_path, str) and name in bundled_recipes():
        entry = resources.files("engine.degrade") / "recipes" / f"{name}.toml"
        return entry.read_text("utf-8"), f"the recipe {name}"
    path = Path(name_or_path)
    if not path.suffix and not path.exists():
        known = bundled_recipes()
        raise PellucidError(
            Code.CONFIG,
            f'There is no recipe called "{name}"{nearest(name, known)}',
            f"Bundled recipes: {', '.join(known)}; or give the path of a TOML file.",
            recipe=name,
        )
    try:
        return read_text(path), str(path)
    except PellucidError as error:
        if error.code is not Code.FILE_MISSING:
            raise
        raise PellucidError(
            Code.FILE_MISSING,
            f"The recipe file {path} does not exist.",
            f"Bundled recipes: {', '.join(bundled_recipes())}.",
            path=str(path),
        ) from error


def _decode(kind: type, raw: object) -> object:
    if kind is Span:
        return Span.parse(raw)
    if kind is Weights:
        return Weights.parse(raw)
    raise NotImplementedError(kind)


def _encode(value: object) -> object:
    if isinstance(value, Span | Weights):
        return value.plain()
    raise NotImplementedError(type(value))


def _unknown_names(raw: object, kind: inspect.Type, where: str) -> Iterator[str]:
    """Sentences about every key and stage kind in `raw` that `kind` does not know, outermost first."""
    if isinstance(kind, inspect.UnionType):
        structs = [option for option in kind.types if isinstance(option, inspect.StructType)]
        if len(structs) == 1:
            yield from _unknown_names(raw, structs[0], where)
        elif structs and isinstance(raw, dict):
            tags = {str(option.tag): option for option in structs}
            tag_field = str(structs[0].tag_field)
            tag = raw.get(tag_field)
            if tag is None:
                yield f"{where or 'the file'} needs `{tag_field}`, one of {', '.join(tags)}."
            elif str(tag) in tags:
                yield from _unknown_names(raw, tags[str(tag)], where)
            else:
                yield f"{where} has the unknown {tag_field} {str(tag)!r}{nearest(str(tag), list(tags)) or '.'}"
    elif isinstance(kind, inspect.StructType) and isinstance(raw, dict):
        fields = {field.encode_name: field.type for field in kind.fields}
        names = [*fields, *([kind.tag_field] if kind.tag_field else [])]
        for key in raw:
            if key not in names:
                yield f"unknown key `{_join(where, key)}`{nearest(key, names) or '.'}"
        for key, value in raw.items():
            if key in fields:
                yield from _unknown_names(value, fields[key], _join(where, key))
    elif isinstance(kind, inspect.LiteralType) and isinstance(raw, str) and raw not in kind.values:
        known = [str(value) for value in kind.values]
        yield f"`{where}` is one of {', '.join(known)}, not {raw!r}{nearest(raw, known) or '.'}"
    elif isinstance(kind, inspect.VarTupleType | inspect.ListType) and isinstance(raw, list):
        for index, value in enumerate(raw):
            yield from _unknown_names(value, kind.item_type, f"{where}[{index}]")


def _join(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def _sentence(error: msgspec.ValidationError) -> str:
    text = str(error).replace("`$.", "`").replace("`$`", "the top level")
    return text if text.endswith((".", "?")) else f"{text}."
