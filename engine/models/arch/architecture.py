"""What an architecture offers: its arguments, its tensors, its torch module and its OpenVINO graph, side by side."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from engine.errors import Code, PellucidError
from engine.models.card import ValueRange
from engine.models.model import Weights

if TYPE_CHECKING:
    import openvino
    import torch

Shapes = dict[str, tuple[int, ...]]
"""Every parameter and buffer of a net by its state-dict name, in the order of its layers."""


@dataclass(frozen=True, slots=True)
class OpenVinoGraph:
    """A graph whose weights are inputs, so that one compiled model serves every checkpoint of an architecture.

    Input 0 is the picture (1, 3, h, w) float32 in the net's input range; then one float32 input per name of
    `weight_inputs`, in that order; the output is (1, 3, h*scale, w*scale) in the net's output range. A frozen graph has
    the picture only.
    """

    model: openvino.Model
    weight_inputs: tuple[str, ...]
    fold: Callable[[Weights], Weights] | None = None
    """What turns a state dict into the arrays that the inputs take; None: they are the state dict's own."""

    def arrays(self, weights: Weights) -> tuple[npt.NDArray[np.float32], ...]:
        """The values of the weight inputs, in their order: float32, contiguous, exactly the inputs' shapes."""
        folded = weights if self.fold is None else self.fold(weights)
        return tuple(np.ascontiguousarray(folded[name], dtype=np.float32) for name in self.weight_inputs)


class GraphFunction(Protocol):
    """Builds the OpenVINO graph of a network."""

    def __call__(
        self, args: Any, weights: Weights, tile: tuple[int, int] | None = None, frozen: bool = False
    ) -> OpenVinoGraph:
        """tile: (h, w) fixes the picture's size, None leaves it free.

        frozen: weights become constants (no weight inputs): up to a tenth faster where PReLU is used, for pictures in
        bulk that no slider touches.
        """
        ...


@dataclass(frozen=True, slots=True)
class Architecture:
    """One network family. Every function takes the family's own `args_type`."""

    id: str
    args_type: type[msgspec.Struct]
    parameter_shapes: Callable[[Any], Shapes]
    torch_module: Callable[[Any], torch.nn.Module]
    """Initialised for training; its state dict has exactly the names and shapes of `parameter_shapes`."""
    openvino_graph: GraphFunction
    scale: Callable[[Any], int]
    receptive_radius: Callable[[Any], int | None]
    """Input pixels beyond which a pixel cannot change the output; None: the net looks at the whole picture."""
    multiple: Callable[[Any], int]
    """Picture sides must be a multiple of this."""
    fp16_safe: bool = True
    """False: half precision is known to overflow to black pictures."""
    fixed_tile: bool = False
    """True: the OpenVINO graph needs `tile`."""
    buffers: tuple[str, ...] = ()
    """Last parts of the names that are not learnable, e.g. running_mean."""
    ranges: Callable[[Any], tuple[ValueRange, ValueRange]] = lambda args: ("0..1", "0..1")
    """Ranges of the picture that goes in and of the one that comes out: a card that says otherwise is wrong."""
    community_constants: Callable[[Any], dict[str, npt.NDArray[np.generic]]] = lambda args: {}
    """Arrays that other programs expect in the file although they follow from the arguments: written, never read."""
    adapt: Callable[[Weights, Any, Any], Weights | None] = lambda weights, there, here: None
    """(weights, their arguments, those of another network) -> weights with which that one returns the same picture,
    maybe at another scale; None: there are none."""

    def count_parameters(self, args: msgspec.Struct) -> int:
        """Learnable values, exactly."""
        return sum(
            math.prod(shape)
            for name, shape in self.parameter_shapes(args).items()
            if name.rpartition(".")[2] not in self.buffers
        )

    def read_arguments(self, arguments: Mapping[str, object]) -> Any:
        """The arguments as a card holds them -> `args_type`, every bound checked."""
        known = self.args_type.__struct_fields__
        for key in arguments:
            if key not in known:
                raise PellucidError(
                    Code.MODEL_UNSUPPORTED,
                    f'The architecture {self.id} has no argument "{key}".',
                    nearest_name_hint(key, known),
                    key=key,
                )
        try:
            return msgspec.convert(dict(arguments), self.args_type)
        except msgspec.ValidationError as error:
            raise PellucidError(
                Code.MODEL_UNSUPPORTED, f"The arguments of the architecture {self.id} are not valid: {error}."
            ) from error

    def write_arguments(self, args: msgspec.Struct) -> dict[str, int | float | str | bool | list[int]]:
        """The arguments as a card holds them."""
        plain: dict[str, int | float | str | bool | list[int]] = msgspec.to_builtins(args)
        return plain


def nearest_name_hint(name: str, known: tuple[str, ...]) -> str:
    """One sentence that offers the nearest of the known names, or all of them."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f'Did you mean "{near[0]}"?' if near else f"Known: {', '.join(known)}."
