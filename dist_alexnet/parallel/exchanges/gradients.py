"""Sums gradients over the ranks of an axis while the backward pass still runs: torch's DDP, with our sum and our counting."""

from typing import Any

import torch.distributed as dist
from torch import Tensor, nn
from torch._C._distributed_c10d import GradBucket
from torch.futures import Future
from torch.nn.parallel import DistributedDataParallel

from dist_alexnet.parallel.exchanges.exchange import WIRE_DTYPES, Channel, Wire
from dist_alexnet.parallel.exchanges.traffic import all_reduce_bytes

BUCKET_MIB = 25.0  # torch's default


class DataParallel(DistributedDataParallel):
    """A network whose gradients are summed over a group, in buckets, each sent as soon as it is full.

    They are summed, not averaged as DDP does by itself: every rank's loss is already divided by the size of the global batch.
    """

    def __init__(self, network: nn.Module, channel: Channel, bucket_mib: float = BUCKET_MIB, wire: Wire = "full") -> None:
        super().__init__(
            network,
            process_group=channel.group,
            bucket_cap_mb=bucket_mib,
            gradient_as_bucket_view=True,
            init_sync=False,  # every rank draws the same initial weights, and a broken draw must not be hidden
        )
        self._channel, self._wire = channel, wire
        self._last_bucket_sent: Any = None  # a mark of the clock's timer
        self.register_comm_hook(state=None, hook=self._sum_bucket)

    def _sum_bucket(self, _: Any, bucket: GradBucket) -> Future[Tensor]:
        buffer = bucket.buffer()
        rounded = buffer if self._wire == "full" else buffer.to(WIRE_DTYPES[self._wire])
        self._channel.traffic.add("gradients", "backward", all_reduce_bytes(rounded.nbytes, self._channel.size))
        work = dist.all_reduce(rounded, group=self._channel.group, async_op=True)
        self._last_bucket_sent = self._channel.clock.timer.mark()
        # The sum must end in the bucket, which the gradients are views of.
        return work.get_future().then(lambda _: buffer if rounded is buffer else buffer.copy_(rounded))

    def charge_exposed(self) -> None:
        """Charge to communication what the backward pass, which has just ended, did not hide: the time since its last bucket was sent.

        That bucket waits for the gradient of the first layer, after which a backward pass has nothing left to compute.
        """
        if self._last_bucket_sent is not None:  # not in a microbatch whose gradients stay here
            self._channel.clock.charge_since(self._last_bucket_sent, "communication", "gradients", self._channel.members)
            self._last_bucket_sent = None
