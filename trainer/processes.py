"""Several training processes as one: started by torchrun, on one machine or many that share the run folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import distributed as dist
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous


@dataclass(frozen=True, slots=True)
class Processes:
    """`rank` 0 owns the run folder; the others follow its decisions."""

    rank: int = 0
    local_rank: int = 0
    count: int = 1

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def agree(self, decision: int) -> int:
        """The decision of rank 0."""
        if self.count == 1:
            return decision
        value = torch.tensor([decision])
        dist.broadcast(value, 0)
        return int(value.item())

    def wait(self) -> None:
        """Until all are here."""
        if self.count > 1:
            dist.barrier()


@contextmanager
def joined_processes(cuda: bool) -> Iterator[Processes]:
    """The group that torchrun describes in the environment, or a process alone."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Processes()
        return
    store, rank, count = next(rendezvous("env://"))
    # After a restart torchrun offers the same store, where the addresses of the processes that have died still stand:
    # who is quick would call those. Each attempt therefore has names of its own.
    attempt = f"{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}-of-{count}"
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if cuda else "gloo", store=PrefixStore(attempt, store), rank=rank, world_size=count
    )
    try:
        yield Processes(dist.get_rank(), int(os.environ.get("LOCAL_RANK", "0")), count)
    finally:
        dist.destroy_process_group()
