"""Models that other programs made: recognised as one of our networks where possible, else run by spandrel on torch."""

from __future__ import annotations

import functools
import importlib.machinery
import importlib.util
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from engine.errors import Code, PellucidError
from engine.models.card import Card
from engine.models.files import FOREIGN, as_float32, check_model, make_card, read_header, read_model, read_tensors
from engine.models.model import Model
from engine.models.ncnn import read_ncnn
from engine.models.pth import WRAPPERS, read_checkpoint, strip_prefix
from engine.models.recognise import recognise

if TYPE_CHECKING:
    import torch

CHECKPOINT_ENDINGS = (".pth", ".pt", ".ckpt")
NCNN_ENDINGS = (".param", ".bin")
ENDINGS = (".safetensors", *CHECKPOINT_ENDINGS, *NCNN_ENDINGS)


def read_any_model(path: Path) -> Model:
    """A model from whatever file it is in: ours, safetensors or checkpoints of others, ncnn pairs."""
    if path.exists() and not path.is_file() and not path.is_dir():
        # A pipe would be waited for without end, a device read without end.
        raise PellucidError(Code.FILE_UNREADABLE, f"{path} is not a regular file.", path=str(path))
    ending = path.suffix.lower()
    if ending in NCNN_ENDINGS:
        return read_ncnn(path)
    if ending in CHECKPOINT_ENDINGS:
        return _from_state(path, read_checkpoint(path))
    if ending != ".safetensors":
        raise PellucidError(
            Code.MODEL_UNSUPPORTED,
            f'{path} does not look like a model: its name ends in "{path.suffix}".',
            f"Known: {', '.join(ENDINGS)}.",
            path=str(path),
        )
    header = read_header(path)
    if "pellucid" in header.metadata:
        return read_model(path)
    return _from_state(path, _unwrap_names(read_tensors(path, header)))


def _unwrap_names(state: dict[str, npt.NDArray[np.generic]]) -> dict[str, npt.NDArray[np.generic]]:
    """Without the name of a wrapper that a conversion from a checkpoint left before every name."""
    for wrapper in WRAPPERS:
        prefix = f"{wrapper}."
        inner = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
        # "model.0.weight" is how the first ESRGAN release names its layers, not a wrapper.
        if inner and not any(name.split(".")[0].isdigit() for name in inner):
            return strip_prefix(inner)
    return strip_prefix(state)


def _from_state(path: Path, state: Mapping[str, npt.NDArray[np.generic]]) -> Model:
    if not any(value.dtype == np.float32 and value.size for value in state.values()):
        raise PellucidError(Code.MODEL_CORRUPT, f"{path} holds no weights.", path=str(path))
    found = recognise(state)
    name = name_from(path)
    if found is None:
        weights = as_float32(path, state)
        card = Card(
            name=name,
            architecture=FOREIGN,
            scale=_spandrel_scale(path, weights),
            parameters=sum(value.size for key, value in weights.items() if state[key].dtype == np.float32),
            description=f"Imported from {path.name}.",
        )
        return Model(card, weights, path)
    card = make_card(name, found.architecture, found.args, description=f"Imported from {path.name}.")
    model = Model(card, as_float32(path, found.weights), path)
    check_model(model)
    return model


def name_from(path: Path) -> str:
    """A model name made from a file's: what a name may not have becomes a hyphen."""
    kept = "".join(letter if letter.isprintable() and letter not in '<>:"/\\|?*' else "-" for letter in path.stem)
    return kept.strip(" .")[:100].strip(" .") or "model"


# Networks only spandrel knows -----------------------------------------------------------------------------------------


def foreign_module(model: Model) -> torch.nn.Module:
    """The torch network of a model whose card says `foreign`, in evaluation mode, pictures (n, 3, h, w) 0..1."""
    return _load_with_spandrel(model.card.name, model.weights).model.eval()  # type: ignore[no-any-return]


def _spandrel_scale(path: Path, weights: Mapping[str, npt.NDArray[np.float32]]) -> int:
    described = _load_with_spandrel(str(path), weights)
    return int(described.scale)


def _load_with_spandrel(where: str, weights: Mapping[str, npt.NDArray[np.float32]]) -> Any:
    """spandrel's descriptor of a network built around these weights; only tensors are handed over, never a file."""
    import_spandrel()
    import spandrel
    import torch

    state = {name: torch.from_numpy(value.copy()) for name, value in weights.items()}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # spandrel's own, about torch's future
            described = spandrel.ModelLoader(device="cpu").load_from_state_dict(state)
    except spandrel.UnsupportedModelError as error:
        raise PellucidError(
            Code.MODEL_UNSUPPORTED,
            f"{where} holds a network that neither Pellucid nor spandrel knows.",
            "Known are ESRGAN, Real-ESRGAN compact, SwinIR, MSRResNet and what spandrel lists.",
        ) from error
    except Exception as error:
        # Weights chosen by a stranger steer spandrel's constructors: any failure there means that they do not fit.
        raise PellucidError(
            Code.MODEL_CORRUPT, f"{where} holds a network whose tensors do not fit together ({type(error).__name__})."
        ) from error
    if not isinstance(described, spandrel.ImageModelDescriptor) or (
        described.input_channels,
        described.output_channels,
    ) != (3, 3):
        raise PellucidError(
            Code.MODEL_UNSUPPORTED,
            f"{where} holds a {described.architecture.name} network, which does not turn colour pictures into others.",
            "Pellucid restores and upscales colour pictures.",
        )
    return described


@functools.cache
def import_spandrel() -> object:
    """Make `import spandrel` possible, or say what is missing.

    spandrel imports torchvision, whose compiled half may not fit the torch beside it. Then two operators it would have
    brought are declared, without bodies, so that the rest of torchvision loads. What is returned keeps them declared.
    """
    for package in ("torch", "spandrel", "torchvision"):
        if importlib.util.find_spec(package) is None:
            raise PellucidError(
                Code.BACKEND_UNAVAILABLE,
                f"This network needs the package {package}, which is not installed.",
                "Install the training edition, or convert the model to one of Pellucid's networks.",
                package=package,
            )
    import torch

    if _has_compiled_half():
        return None
    library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")  # type: ignore[no-untyped-call]
    return library


def _has_compiled_half() -> bool:
    """Whether torchvision's compiled operators are there already or can be loaded."""
    import torch

    if hasattr(torch.ops.torchvision, "nms"):
        return True
    package = importlib.util.find_spec("torchvision")
    for folder in (package.submodule_search_locations or []) if package else []:
        for suffix in importlib.machinery.EXTENSION_SUFFIXES:
            library = Path(folder) / f"_C{suffix}"
            if library.is_file():
                try:
                    torch.ops.load_library(str(library))  # type: ignore[no-untyped-call]
                except OSError:
                    return False
                return hasattr(torch.ops.torchvision, "nms")
    return False
