"""SwinIR: self-attention inside windows that shift by half between blocks, a convolution after each group of blocks.

State-dict names are the community's. The OpenVINO graph keeps pixels in window order from block to block: one gather a
block moves them, where a plain graph rolls, partitions and merges.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from engine.errors import Code, PellucidError
from engine.models.arch.architecture import Architecture, OpenVinoGraph, Shapes
from engine.models.model import Weights

if TYPE_CHECKING:
    import torch

RGB_MEAN = (0.4488, 0.4371, 0.4040)
NORM_EPSILON = 1e-5
MASKED = -100.0
"""Added to the attention between pixels that are neighbours only because the picture was rolled."""
TAIL_FEATURES = 64
SLOPE = 0.01
RESIDUAL_SLOPE = 0.2
TAIL_SLOPE = 0.2

Heads = Annotated[int, msgspec.Meta(ge=1, le=64)]
Depth = Annotated[int, msgspec.Meta(ge=1, le=64)]


class SwinIrArgs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    embed: Annotated[int, msgspec.Meta(ge=1, le=1024)] = 78
    depths: Annotated[tuple[Depth, ...], msgspec.Meta(min_length=1, max_length=32)] = (6, 6, 6, 6, 6, 6)
    """Blocks of each group."""
    heads: Annotated[tuple[Heads, ...], msgspec.Meta(min_length=1, max_length=32)] = (6, 6, 6, 6, 6, 6)
    window: Annotated[int, msgspec.Meta(ge=2, le=32)] = 8
    mlp_hidden: Annotated[int, msgspec.Meta(ge=1, le=8192)] = 156
    upsampler: Literal["pixelshuffledirect", "pixelshuffle", "nearest+conv"] = "pixelshuffledirect"
    residual: Literal["1conv", "3conv"] = "1conv"
    scale: Literal[2, 3, 4] = 4

    def __post_init__(self) -> None:
        if len(self.heads) != len(self.depths):
            raise ValueError("heads and depths must have the same length")
        if any(self.embed % heads for heads in self.heads):
            raise ValueError(f"embed {self.embed} must be a multiple of every count of heads")
        if self.upsampler == "nearest+conv" and self.scale == 3:
            raise ValueError('the upsampler "nearest+conv" knows scales 2 and 4 only')


def _stages(args: SwinIrArgs) -> tuple[int, ...]:
    return (2, 2) if args.scale == 4 else (args.scale,)


def _residual_layers(args: SwinIrArgs) -> tuple[tuple[str, int, int, int], ...]:
    """(suffix, inputs, outputs, side) of the convolutions that close a group."""
    c = args.embed
    if args.residual == "1conv":
        return (("", c, c, 3),)
    return ((".0", c, c // 4, 3), (".2", c // 4, c // 4, 1), (".4", c // 4, c, 3))


def parameter_shapes(args: SwinIrArgs) -> Shapes:
    c = args.embed
    shapes: Shapes = {}

    def add(name: str, *weight: int) -> None:
        shapes[f"{name}.weight"] = weight
        shapes[f"{name}.bias"] = weight[:1]

    def add_residual(name: str) -> None:
        for suffix, inputs, outputs, side in _residual_layers(args):
            add(name + suffix, outputs, inputs, side, side)

    add("conv_first", c, 3, 3, 3)
    add("patch_embed.norm", c)
    for i, (depth, heads) in enumerate(zip(args.depths, args.heads, strict=True)):
        for j in range(depth):
            block = f"layers.{i}.residual_group.blocks.{j}"
            add(f"{block}.norm1", c)
            shapes[f"{block}.attn.relative_position_bias_table"] = ((2 * args.window - 1) ** 2, heads)
            add(f"{block}.attn.qkv", 3 * c, c)
            add(f"{block}.attn.proj", c, c)
            add(f"{block}.norm2", c)
            add(f"{block}.mlp.fc1", args.mlp_hidden, c)
            add(f"{block}.mlp.fc2", c, args.mlp_hidden)
        add_residual(f"layers.{i}.conv")
    add("norm", c)
    add_residual("conv_after_body")
    if args.upsampler == "pixelshuffledirect":
        add("upsample.0", 3 * args.scale**2, c, 3, 3)
        return shapes
    add("conv_before_upsample.0", TAIL_FEATURES, c, 3, 3)
    if args.upsampler == "pixelshuffle":
        for number, factor in enumerate(_stages(args)):
            add(f"upsample.{2 * number}", TAIL_FEATURES * factor**2, TAIL_FEATURES, 3, 3)
    else:
        for number in range(1, len(_stages(args)) + 1):
            add(f"conv_up{number}", TAIL_FEATURES, TAIL_FEATURES, 3, 3)
        add("conv_hr", TAIL_FEATURES, TAIL_FEATURES, 3, 3)
    add("conv_last", 3, TAIL_FEATURES, 3, 3)
    return shapes


def relative_position_index(window: int) -> npt.NDArray[np.int64]:
    """(window**2, window**2): row of the bias table for a pair of pixels of one window."""
    y, x = np.divmod(np.arange(window * window), window)
    dy = y[:, None] - y[None, :] + window - 1
    dx = x[:, None] - x[None, :] + window - 1
    index: npt.NDArray[np.int64] = dy * (2 * window - 1) + dx
    return index


def window_order(height: int, width: int, window: int, shift: int) -> npt.NDArray[np.int64]:
    """(windows, window**2): row-major pixel number of every place in every window of the picture rolled by -shift."""
    y = (np.arange(height).reshape(-1, 1, window, 1) + shift) % height
    x = (np.arange(width).reshape(1, -1, 1, window) + shift) % width
    order: npt.NDArray[np.int64] = (y * width + x).reshape(-1, window * window)
    return order


def shift_mask(height: int, width: int, window: int, shift: int) -> npt.NDArray[np.float32]:
    """(windows, window**2, window**2): 0 between pixels that are true neighbours, MASKED between the others."""

    def regions(length: int) -> npt.NDArray[np.int64]:
        place = np.arange(length)
        return (place >= length - window).astype(np.int64) + (place >= length - shift)

    y, x = regions(height).reshape(-1, 1, window, 1), regions(width).reshape(1, -1, 1, window)
    region = (3 * y + x).reshape(-1, window * window)
    return np.where(region[:, :, None] == region[:, None, :], 0.0, MASKED).astype(np.float32)


def community_constants(args: SwinIrArgs) -> dict[str, npt.NDArray[np.generic]]:
    """Index tables and masks (of a picture two windows wide, the smallest that shifts) that other programs look for."""
    side = 2 * args.window
    constants: dict[str, npt.NDArray[np.generic]] = {}
    for i, depth in enumerate(args.depths):
        for j in range(depth):
            block = f"layers.{i}.residual_group.blocks.{j}"
            constants[f"{block}.attn.relative_position_index"] = relative_position_index(args.window)
            if j % 2:
                constants[f"{block}.attn_mask"] = shift_mask(side, side, args.window, args.window // 2)
    return constants


def torch_module(args: SwinIrArgs) -> torch.nn.Module:
    import torch
    from torch import nn
    from torch.nn import functional

    c, window = args.embed, args.window
    area = window * window

    class Attention(nn.Module):
        def __init__(self, heads: int) -> None:
            super().__init__()
            self.heads = heads
            self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
            nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
            self.register_buffer(
                "pairs", torch.from_numpy(relative_position_index(window)).reshape(-1), persistent=False
            )
            self.qkv = nn.Linear(c, 3 * c)
            self.proj = nn.Linear(c, c)

        def forward(self, x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
            """x: (n, windows, area, c); mask: (windows, area, area)."""
            n, windows, _, _ = x.shape
            qkv = self.qkv(x).reshape(n, windows, area, 3, self.heads, c // self.heads).permute(3, 0, 1, 4, 2, 5)
            q, k, v = qkv.unbind(0)
            scores = (q * (c // self.heads) ** -0.5) @ k.transpose(-2, -1)
            bias = self.relative_position_bias_table[self.get_buffer("pairs")].reshape(area, area, self.heads)
            scores = scores + bias.permute(2, 0, 1)
            if mask is not None:
                scores = scores + mask[:, None].to(scores.dtype)
            mixed = (scores.softmax(-1) @ v).transpose(2, 3).reshape(n, windows, area, c)
            out: torch.Tensor = self.proj(mixed)
            return out

    class Mlp(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc1 = nn.Linear(c, args.mlp_hidden)
            self.fc2 = nn.Linear(args.mlp_hidden, c)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.fc2(functional.gelu(self.fc1(x)))
            return out

    class Block(nn.Module):
        def __init__(self, heads: int, shift: int) -> None:
            super().__init__()
            self.shift = shift
            self.norm1 = nn.LayerNorm(c, eps=NORM_EPSILON)
            self.attn = Attention(heads)
            self.norm2 = nn.LayerNorm(c, eps=NORM_EPSILON)
            self.mlp = Mlp()

        def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            """x: (n, h, w, c)."""
            n, h, w, _ = x.shape
            y = self.norm1(x)
            if self.shift:
                y = torch.roll(y, (-self.shift, -self.shift), (1, 2))
            y = y.reshape(n, h // window, window, w // window, window, c).transpose(2, 3)
            y = self.attn(y.reshape(n, -1, area, c), mask if self.shift else None)
            y = y.reshape(n, h // window, w // window, window, window, c).transpose(2, 3).reshape(n, h, w, c)
            if self.shift:
                y = torch.roll(y, (self.shift, self.shift), (1, 2))
            x = x + y
            z: torch.Tensor = self.mlp(self.norm2(x))
            return x + z

    def mask_on_device(height: int, width: int, device: torch.device) -> torch.Tensor:
        """`shift_mask`, made where the picture is: no copy that a recorded CUDA graph could not repeat."""

        def regions(length: int) -> torch.Tensor:
            place = torch.arange(length, device=device)
            return (place >= length - window).to(torch.int32) + (place >= length - window // 2).to(torch.int32)

        y, x = regions(height).view(-1, 1, window, 1), regions(width).view(1, -1, 1, window)
        region = (3 * y + x).reshape(-1, area)
        return torch.where(region[:, :, None] == region[:, None, :], 0.0, MASKED)

    def closing_convolution() -> nn.Module:
        layers: list[nn.Module] = []
        for _, inputs, outputs, side in _residual_layers(args):
            layers += [nn.Conv2d(inputs, outputs, side, padding=side // 2), nn.LeakyReLU(RESIDUAL_SLOPE)]
        return layers[0] if len(layers) == 2 else nn.Sequential(*layers[:-1])

    class ResidualGroup(nn.Module):
        def __init__(self, depth: int, heads: int) -> None:
            super().__init__()
            self.residual_group = nn.Module()
            blocks = nn.ModuleList(Block(heads, window // 2 if j % 2 else 0) for j in range(depth))
            self.residual_group.add_module("blocks", blocks)
            self.conv = closing_convolution()

        def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            y = x
            for block in self.residual_group.get_submodule("blocks").children():
                y = block(y, mask)
            detail: torch.Tensor = self.conv(y.permute(0, 3, 1, 2))
            return x + detail.permute(0, 2, 3, 1)

    class SwinIr(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("mean", torch.tensor(RGB_MEAN).view(1, 3, 1, 1), persistent=False)
            self.conv_first = nn.Conv2d(3, c, 3, padding=1)
            self.patch_embed = nn.Module()
            self.patch_embed.add_module("norm", nn.LayerNorm(c, eps=NORM_EPSILON))
            self.layers = nn.ModuleList(
                ResidualGroup(depth, heads) for depth, heads in zip(args.depths, args.heads, strict=True)
            )
            self.norm = nn.LayerNorm(c, eps=NORM_EPSILON)
            self.conv_after_body = closing_convolution()
            if args.upsampler == "pixelshuffledirect":
                self.upsample = nn.Sequential(
                    nn.Conv2d(c, 3 * args.scale**2, 3, padding=1), nn.PixelShuffle(args.scale)
                )
            else:
                t = TAIL_FEATURES
                self.conv_before_upsample = nn.Sequential(nn.Conv2d(c, t, 3, padding=1), nn.LeakyReLU(SLOPE))
                if args.upsampler == "pixelshuffle":
                    stages: list[nn.Module] = []
                    for factor in _stages(args):
                        stages += [nn.Conv2d(t, t * factor**2, 3, padding=1), nn.PixelShuffle(factor)]
                    self.upsample = nn.Sequential(*stages)
                else:
                    for number in range(1, len(_stages(args)) + 1):
                        self.add_module(f"conv_up{number}", nn.Conv2d(t, t, 3, padding=1))
                    self.conv_hr = nn.Conv2d(t, t, 3, padding=1)
                self.conv_last = nn.Conv2d(t, 3, 3, padding=1)
            for module in self.modules():
                if isinstance(module, nn.Linear):
                    nn.init.trunc_normal_(module.weight, std=0.02)
                    nn.init.zeros_(module.bias)

        def enlarge(self, x: torch.Tensor) -> torch.Tensor:
            if args.upsampler == "pixelshuffledirect":
                return self.upsample(x)  # type: ignore[no-any-return]
            x = self.conv_before_upsample(x)
            if args.upsampler == "pixelshuffle":
                x = self.upsample(x)
            else:
                for number in range(1, len(_stages(args)) + 1):
                    x = functional.interpolate(x, scale_factor=2, mode="nearest")
                    x = functional.leaky_relu(self.get_submodule(f"conv_up{number}")(x), TAIL_SLOPE)
                x = functional.leaky_relu(self.conv_hr(x), TAIL_SLOPE)
            return self.conv_last(x)  # type: ignore[no-any-return]

        def forward(self, picture: torch.Tensor) -> torch.Tensor:
            """(n, 3, h, w) -> (n, 3, h*scale, w*scale), both 0..1; sides are padded to whole windows and cropped."""
            height, width = picture.shape[-2:]
            bottom, right = -height % window, -width % window
            if bottom or right:
                mode = "reflect" if bottom < height and right < width else "replicate"
                picture = functional.pad(picture, (0, right, 0, bottom), mode=mode)
            h, w = picture.shape[-2:]
            mask = mask_on_device(h, w, picture.device)
            mean = self.get_buffer("mean")
            first = self.conv_first(picture - mean)
            x = self.patch_embed.get_submodule("norm")(first.permute(0, 2, 3, 1))
            for layer in self.layers:
                x = layer(x, mask)
            x = first + self.conv_after_body(self.norm(x).permute(0, 3, 1, 2))
            restored = self.enlarge(x) + mean
            return restored[:, :, : height * args.scale, : width * args.scale]

    return SwinIr()


def openvino_graph(
    args: SwinIrArgs, weights: Weights, tile: tuple[int, int] | None = None, frozen: bool = False
) -> OpenVinoGraph:
    from engine.models.arch.graph import GraphBuilder, Node

    if tile is None or tile[0] % args.window or tile[1] % args.window:
        raise PellucidError(
            Code.INTERNAL, f"SwinIR needs a tile whose sides are multiples of {args.window}, not {tile}.", tile=tile
        )
    graph = GraphBuilder(weights, tile, frozen)
    ops = graph.ops
    c, window = args.embed, args.window
    area = window * window
    height, width = tile
    pixels = height * width
    orders = [window_order(height, width, window, shift).reshape(-1) for shift in (0, window // 2)]
    row_major = np.arange(pixels)
    mask = graph.constant(shift_mask(height, width, window, window // 2)[:, None])
    pairs = graph.constant(relative_position_index(window).reshape(-1), np.int32)
    mean_colour = graph.constant(np.array(RGB_MEAN).reshape(1, 3, 1, 1))
    rows = graph.constant(0, np.int32)

    def shape(*sides: int) -> Node:
        return graph.constant(sides, np.int64)

    def reorder(x: Node, before: npt.NDArray[np.int64], after: npt.NDArray[np.int64]) -> Node:
        """Rows of pixels from one order to another."""
        if before is after:
            return x
        place = np.empty(pixels, np.int64)
        place[before] = np.arange(pixels)
        return ops.gather(x, graph.constant(place[after], np.int32), rows)

    def to_rows(x: Node) -> Node:
        """(1, c, h, w) -> (pixels, c), row-major."""
        return ops.transpose(ops.reshape(x, shape(c, pixels), False), shape(1, 0))

    def to_plane(x: Node) -> Node:
        return ops.reshape(ops.transpose(x, shape(1, 0)), shape(1, c, height, width), False)

    def norm(x: Node, name: str) -> Node:
        normal = ops.mvn(x, graph.constant([-1], np.int64), True, NORM_EPSILON, "inside_sqrt")
        return ops.add(ops.multiply(normal, graph.weight(f"{name}.weight")), graph.weight(f"{name}.bias"))

    def linear(x: Node, name: str) -> Node:
        return ops.add(ops.matmul(x, graph.weight(f"{name}.weight"), False, True), graph.weight(f"{name}.bias"))

    def attention(x: Node, name: str, heads: int, shifted: bool) -> Node:
        def to_heads(y: Node) -> Node:
            """(pixels, c) -> (windows, heads, area, c / heads)."""
            return ops.transpose(ops.reshape(y, shape(-1, area, heads, c // heads), False), shape(0, 2, 1, 3))

        # Three products instead of one: what each gives can be turned inside the plugin's fused attention.
        parts = ops.split(graph.weight(f"{name}.qkv.weight"), rows, 3).outputs()
        biases = ops.split(graph.weight(f"{name}.qkv.bias"), rows, 3).outputs()
        q, k, v = (to_heads(ops.add(ops.matmul(x, w, False, True), b)) for w, b in zip(parts, biases, strict=True))
        q = ops.multiply(q, graph.constant((c // heads) ** -0.5))
        table = ops.gather(graph.weight(f"{name}.relative_position_bias_table"), pairs, rows)
        bias = ops.transpose(ops.reshape(table, shape(1, area, area, heads), False), shape(0, 3, 1, 2))
        scores = ops.add(ops.matmul(q, k, False, True), bias)
        if shifted:
            scores = ops.add(scores, mask)
        mixed = ops.matmul(ops.softmax(scores, -1), v, False, False)
        mixed = ops.reshape(ops.transpose(mixed, shape(0, 2, 1, 3)), shape(pixels, c), False)
        return linear(mixed, f"{name}.proj")

    def closing_convolution(x: Node, name: str) -> Node:
        for suffix, _, _, side in _residual_layers(args):
            x = graph.convolution(x, name + suffix, padding=side // 2)
            if suffix in (".0", ".2"):
                x = graph.leaky_relu(x, RESIDUAL_SLOPE)
        return x

    first = graph.convolution(ops.subtract(graph.picture, mean_colour), "conv_first")
    x = reorder(norm(to_rows(first), "patch_embed.norm"), row_major, orders[0])
    for i, (depth, heads) in enumerate(zip(args.depths, args.heads, strict=True)):
        y, order = x, orders[0]
        for j in range(depth):
            block = f"layers.{i}.residual_group.blocks.{j}"
            y, order = reorder(y, order, orders[j % 2]), orders[j % 2]
            y = ops.add(y, attention(norm(y, f"{block}.norm1"), f"{block}.attn", heads, shifted=bool(j % 2)))
            hidden = ops.gelu(linear(norm(y, f"{block}.norm2"), f"{block}.mlp.fc1"), "erf")
            y = ops.add(y, linear(hidden, f"{block}.mlp.fc2"))
        y = closing_convolution(to_plane(reorder(y, order, row_major)), f"layers.{i}.conv")
        x = ops.add(x, reorder(to_rows(y), row_major, orders[0]))
    x = to_plane(reorder(norm(x, "norm"), orders[0], row_major))
    x = ops.add(first, closing_convolution(x, "conv_after_body"))

    if args.upsampler == "pixelshuffledirect":
        x = graph.pixel_shuffle(graph.convolution(x, "upsample.0"), args.scale)
    else:
        x = graph.leaky_relu(graph.convolution(x, "conv_before_upsample.0"), SLOPE)
        for number, factor in enumerate(_stages(args)):
            if args.upsampler == "pixelshuffle":
                x = graph.pixel_shuffle(graph.convolution(x, f"upsample.{2 * number}"), factor)
            else:
                x = graph.convolution(graph.enlarge_nearest(x, 2), f"conv_up{number + 1}")
                x = graph.leaky_relu(x, TAIL_SLOPE)
        if args.upsampler == "nearest+conv":
            x = graph.leaky_relu(graph.convolution(x, "conv_hr"), TAIL_SLOPE)
        x = graph.convolution(x, "conv_last")
    return graph.finish(ops.add(x, mean_colour), SWINIR.id)


def receptive_radius(args: SwinIrArgs) -> int:
    """A bound: each block reaches across its window; tiles must also lie on the grid of windows to equal the whole."""
    residual = 1 if args.residual == "1conv" else 2
    blocks = sum(args.depths) * (args.window - 1)
    tail = {"pixelshuffledirect": 1, "pixelshuffle": 4, "nearest+conv": 4}[args.upsampler]
    return 1 + blocks + residual * (len(args.depths) + 1) + tail


SWINIR = Architecture(
    id="swinir",
    args_type=SwinIrArgs,
    parameter_shapes=parameter_shapes,
    torch_module=torch_module,
    openvino_graph=openvino_graph,
    scale=lambda args: int(args.scale),
    receptive_radius=receptive_radius,
    multiple=lambda args: int(args.window),
    fp16_safe=False,
    fixed_tile=True,
    community_constants=community_constants,
)
