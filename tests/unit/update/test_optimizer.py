"""The update rule of 2012, against the formula of the paper written out."""

import pytest
import torch
from torch import nn

from dist_alexnet.config import TrainConfig
from dist_alexnet.update.optimizer import VelocitySGD

RATES = [0.1, 0.1, 0.01, 0.01, 0.001, 0.05]  # drops, and a rise


class Toy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(-1, 1, 6, dtype=torch.float64).reshape(2, 3))
        self.bias = nn.Parameter(torch.ones(2, dtype=torch.float64))


def parameters(toy: Toy) -> dict[str, nn.Parameter]:
    return dict(toy.named_parameters())


def gradients(step: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(step)
    return {n: torch.randn(s, generator=generator, dtype=torch.float64) for n, s in (("weight", (2, 3)), ("bias", (2,)))}


def paper_rates(optimizer: VelocitySGD) -> dict[str, float]:
    """Of the step before, for each parameter, as a checkpoint has them."""
    return {name: optimizer.scalars()["last_lr"]["linear"] for name in ("weight", "bias")}


def test_learning_rate_is_inside_the_velocity() -> None:
    """v <- 0.9 v - 0.0005 lr w - lr g;  w <- w + v (section 5); biases at twice the rate and without decay. Differs from torch's own
    SGD where the rate changes."""
    toy = Toy()
    optimizer = VelocitySGD(parameters(toy), TrainConfig())
    weights = {name: p.detach().clone() for name, p in toy.named_parameters()}
    velocities = {name: torch.zeros_like(w) for name, w in weights.items()}
    for step, lr in enumerate(RATES):
        for name, gradient in gradients(step).items():
            getattr(toy, name).grad = gradient.clone()
            rate, decay = (lr, 0.0005) if name == "weight" else (2 * lr, 0.0)
            velocities[name] = 0.9 * velocities[name] - decay * rate * weights[name] - rate * gradient
            weights[name] = weights[name] + velocities[name]
        optimizer.step_at(lr)
        rates = {name: rate * factor for (name, rate), factor in zip(paper_rates(optimizer).items(), (1.0, 2.0), strict=True)}
        for name, u in optimizer.buffers()["momentum"].items():  # docs/checkpoints.md: how `momentum` becomes the velocity of the paper
            torch.testing.assert_close(-rates[name] * u, velocities[name], rtol=1e-12, atol=1e-14)
    for name, parameter in toy.named_parameters():
        torch.testing.assert_close(parameter.detach(), weights[name], rtol=1e-12, atol=1e-14)


def test_it_goes_on_where_it_was_saved() -> None:
    def run(steps: range, toy: Toy, optimizer: VelocitySGD) -> None:
        for step in steps:
            for name, gradient in gradients(step).items():
                getattr(toy, name).grad = gradient
            optimizer.step_at(RATES[step])

    through, first, second = Toy(), Toy(), Toy()
    run(range(6), through, VelocitySGD(parameters(through), TrainConfig()))
    before = VelocitySGD(parameters(first), TrainConfig())
    run(range(3), first, before)
    second.load_state_dict(first.state_dict())
    after = VelocitySGD(parameters(second), TrainConfig())
    for name, buffer in after.buffers()["momentum"].items():
        buffer.copy_(before.buffers()["momentum"][name])
    after.load_scalars(before.scalars())
    run(range(3, 6), second, after)
    assert torch.equal(through.weight, second.weight)


def test_a_rate_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="must be positive"):
        VelocitySGD(parameters(Toy()), TrainConfig()).step_at(0.0)


def test_without_momentum_there_are_no_buffers() -> None:
    toy = Toy()
    optimizer = VelocitySGD(parameters(toy), TrainConfig(momentum=0.0))
    toy.weight.grad, toy.bias.grad = torch.ones(2, 3, dtype=torch.float64), torch.ones(2, dtype=torch.float64)
    optimizer.step_at(0.5)
    assert optimizer.buffers() == {}
    assert torch.equal(toy.bias.detach(), torch.zeros(2, dtype=torch.float64))
