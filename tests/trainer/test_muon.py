"""Muon against singular values, against torch's own for matrices, and inside a training."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import torch

from engine.wire_training import ModelConfig, OptimizerConfig, ScheduleConfig, StageConfig
from tests.trainer.test_resume import check_resumes_exactly
from tests.trainer.test_steps import batch, copied, furthest
from tests.trainer.tiny import tiny_config
from trainer.generator import build_generator
from trainer.muon import Muon, even_out, is_kernel
from trainer.steps import Compute, PsnrStep

MODEL = ModelConfig(architecture="compact-16", arguments={"features": 16, "convolutions": 2})


@pytest.mark.parametrize("shape", [(16, 16), (64, 576), (256, 64)])
def test_all_directions_of_a_matrix_come_to_count_alike(shape: tuple[int, int]) -> None:
    random = torch.Generator().manual_seed(1)
    matrices = torch.randn((3, *shape), generator=random)
    u, _, vt = torch.linalg.svd(matrices, full_matrices=False)
    wanted = torch.logspace(0, -2, min(shape))
    made = even_out(u * wanted @ vt)
    inside = u.mT @ made @ vt.mT
    values = inside.diagonal(dim1=1, dim2=2)
    assert values.min() > 0.6
    assert values.max() < 1.25
    assert (inside - torch.diag_embed(values)).abs().max() < 1e-3, "the directions themselves stay"


def test_a_kernel_that_has_no_gradient_at_all_stays() -> None:
    assert not even_out(torch.zeros(1, 16, 16)).any()


def test_a_step_is_that_of_torchs_own_for_matrices() -> None:
    random = torch.Generator().manual_seed(2)
    start = torch.randn((24, 144), generator=random)
    kernel = start.clone().view(24, 16, 3, 3).to(memory_format=torch.channels_last).requires_grad_()
    matrix = start.clone().requires_grad_()
    ours = Muon([kernel], lr=0.01, momentum=0.9, weight_decay=0.1)
    reference = torch.optim.Muon([matrix], lr=0.01, momentum=0.9, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    for _ in range(3):
        gradient = torch.randn((24, 144), generator=random)
        kernel.grad = gradient.view(24, 16, 3, 3).to(memory_format=torch.channels_last)
        matrix.grad = gradient.clone()
        ours.step()
        reference.step()
    steps = kernel.detach().reshape(24, 144) - start, matrix.detach() - start
    # Theirs is computed in bf16.
    assert (steps[0] - steps[1]).norm() < 0.02 * steps[1].norm()


def test_a_step_is_a_fifth_of_the_rate_long() -> None:
    kernel = torch.zeros((64, 64, 3, 3), requires_grad=True)
    kernel.grad = torch.randn(kernel.shape, generator=torch.Generator().manual_seed(3)) * 1e-6
    Muon([kernel], lr=1e-3, momentum=0.95, weight_decay=0.0).step()
    assert kernel.detach().square().mean().sqrt().item() == pytest.approx(0.2e-3, rel=0.3)


def test_layers_of_few_channels_slopes_and_biases_are_adams() -> None:
    """They go exactly where Adam takes them in the first step, the kernels go elsewhere."""
    compute = Compute(torch.device("cpu"), channels_last=True)
    after = {}
    for kind in ("adam", "muon"):
        optimizer = OptimizerConfig(kind=kind, learning_rate=1e-3)
        stage = StageConfig(iterations=9, optimizer=optimizer, schedule=ScheduleConfig(kind="constant"))
        step = PsnrStep(build_generator(MODEL, 1), stage, compute)
        kernels = {name for name, parameter in step.generator.named_parameters() if is_kernel(parameter)}
        step.run(*batch())
        after[kind] = copied(step.generator)
    assert {name.rpartition("body.")[2] for name in kernels} == {"2.weight", "4.weight", "6.weight"}
    for name, value in after["adam"].items():
        assert torch.equal(value, after["muon"][name]) == (name not in kernels)


def test_the_memory_layout_changes_nothing_but_rounding() -> None:
    results = []
    for channels_last in (False, True):
        stage = StageConfig(iterations=5, optimizer=OptimizerConfig(kind="muon", learning_rate=1e-3))
        compute = Compute(torch.device("cpu"), channels_last=channels_last)
        step = PsnrStep(build_generator(MODEL, 1), stage, compute)
        for number in range(3):
            step.run(*batch(seed=number))
        results.append(copied(step.generator))
    assert furthest(*results) < 1e-5


def test_it_goes_on_exactly_where_it_was_broken_off(photos: Path, tmp_path: Path) -> None:
    stage = StageConfig(iterations=10, optimizer=OptimizerConfig(kind="muon"))
    config = msgspec.structs.replace(tiny_config(photos, stages=[stage], workers=0), model=MODEL)
    check_resumes_exactly(config, tmp_path, [5])
