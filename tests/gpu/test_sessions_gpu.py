"""The sessions on a real GPU. Without one: the same checks run dry on the CPU, so that they stay able to run."""

from __future__ import annotations

import pytest
import torch

from tests.gpu.programs import load

checks = load("check_sessions")
on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device here")


def keep_promises(findings: list[object]) -> None:
    broken = [str(finding) for finding in findings if not finding.kept]
    assert not broken


@pytest.mark.gpu
@on_gpu
@pytest.mark.parametrize("check", checks.PER_NETWORK, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", checks.NETWORKS)
def test_every_network_keeps_its_promises_on_the_gpu(name: str, check: object) -> None:
    keep_promises(list(check(checks.Machine(dry=False), name)))


@pytest.mark.gpu
@on_gpu
def test_memory_that_runs_out_costs_time_and_nothing_else() -> None:
    machine = checks.Machine(dry=False)
    keep_promises(list(checks.check_opening_beside_recordings(machine, checks.SHORTAGE_ON)))
    keep_promises(list(checks.check_injected_shortage(machine, checks.SHORTAGE_ON)))
    keep_promises(list(checks.check_real_shortage(machine, checks.SHORTAGE_ON)))
    keep_promises(list(checks.check_refusals(machine)))


@pytest.mark.parametrize("name", ["compact-32", "swinir-78"])
def test_the_checks_themselves_run_dry(name: str) -> None:
    machine = checks.Machine(dry=True)
    findings = [finding for check in checks.PER_NETWORK for finding in check(machine, name)]
    assert len(findings) >= 9
    keep_promises(findings)


def test_the_checks_of_memory_run_dry() -> None:
    machine = checks.Machine(dry=True)
    findings = [
        *checks.check_opening_beside_recordings(machine, "compact-32"),
        *checks.check_injected_shortage(machine, "compact-32"),
        *checks.check_refusals(machine),
    ]
    keep_promises(findings)
