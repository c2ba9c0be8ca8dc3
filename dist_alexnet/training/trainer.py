"""What takes optimizer steps: the loop, verify and the benchmarks have one, and none of them builds the parts itself."""

from torch import Tensor

from dist_alexnet.batch import Batch
from dist_alexnet.model.layers import own_tensors
from dist_alexnet.parallel.strategy import Strategy
from dist_alexnet.update.optimizer import VelocitySGD


class Trainer:
    """A strategy, this rank's share of the network, and the update rule."""

    def __init__(self, strategy: Strategy) -> None:
        """`strategy`: connected. Every rank of its world makes a trainer, together."""
        self.strategy = strategy
        self.network = strategy.build()
        self.net = strategy.parallelize(self.network)
        self.optimizer = VelocitySGD(strategy.updated(self.network), strategy.config.train, own_tensors(strategy.layers))

    def step(self, batch: Batch, lr: float, number: int) -> Tensor:
        """One optimizer step, which every rank takes together.

        Args:
            batch: this rank's rows of a global batch, wherever they are.
            lr: learning rate.
            number: of the step, for the dropout masks.

        Returns:
            Loss of this rank's rows, summed and divided by the size of the global batch; it counts where the strategy speaks for them.
        """
        with self.strategy.clock("h2d"):
            batch = batch.to(self.strategy.world.device, self.network.precision.activation)
        loss = self.strategy.train_step(self.net, self.optimizer, lr, batch, number)
        with self.strategy.clock("optimizer"):
            self.network.refresh()
        return loss
