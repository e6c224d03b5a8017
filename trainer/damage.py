"""Damaged pictures made while training: a recipe drawn into a plan for every sample, run by the native kernels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

import msgspec
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from engine.degrade.draw import draw_plan
from engine.degrade.execute import degrade_batch
from engine.degrade.plan import Plan
from engine.degrade.recipe import Recipe, load_recipe
from kernels.degrade import pixels_of, planes_of

Crops = npt.NDArray[np.uint8]
"""(n, side, side, 3) uint8."""
Target = Literal["recipe", "plain", "sharpened"]


@dataclass(frozen=True, slots=True)
class RecipeDamage:
    """`context`: pixels on each side that the damage sees and that are cut off afterwards, a multiple of the scale."""

    recipe: Recipe
    seed: int
    target: Target = "recipe"
    context: int = 0
    orient: bool = True

    @classmethod
    def load(
        cls, name_or_path: str, scale: int, seed: int, target: Target = "recipe", context: int = 0, orient: bool = True
    ) -> Self:
        """A recipe by name or file, made to end at this scale."""
        recipe = msgspec.structs.replace(load_recipe(name_or_path), scale=scale)
        return cls(recipe, seed, target, context, orient)

    def plan(self, numbers: Sequence[int], height: int, width: int) -> Plan:
        return draw_plan(self.recipe, self.seed, np.asarray(numbers, np.int64), height, width, orient=self.orient)

    def __call__(self, crops: Crops, numbers: Sequence[int]) -> tuple[Crops, Crops]:
        """(targets, damaged), on the processor, in one thread."""
        plan = self.plan(numbers, crops.shape[1], crops.shape[2])
        damaged, targets = degrade_batch(planes_of(crops), plan, target=self.target, threads=1)
        return self._cut(pixels_of(targets), 1), self._cut(pixels_of(damaged), self.recipe.scale)

    def on_device(self, crops: Tensor, plan: Plan) -> tuple[Tensor, Tensor]:
        """The same on the device that `crops` (n, side, side, 3) uint8 lies on."""
        # By a tensor that lies there: a GPU multiplies by the reciprocal of a plain number, which is not the same.
        pictures = crops.permute(0, 3, 1, 2).contiguous().float() / torch.tensor(255.0, device=crops.device)
        damaged, targets = degrade_batch(pictures, plan, target=self.target)
        made = [
            (tensor * 255.0).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1) for tensor in (targets, damaged)
        ]
        edge = self.context
        if edge:
            small = edge // self.recipe.scale
            return made[0][:, edge:-edge, edge:-edge], made[1][:, small:-small, small:-small]
        return made[0], made[1]

    def _cut(self, crops: Crops, scale: int) -> Crops:
        edge = self.context // scale
        return np.ascontiguousarray(crops[:, edge:-edge, edge:-edge]) if edge else crops
