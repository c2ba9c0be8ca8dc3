"""What `explain` says of the network of 2012, by the figures of the originals; that what is sent is what it says is shown on ranks."""

import pytest

from dist_alexnet.config import Config, LaunchConfig, StrategyConfig, UsageError
from dist_alexnet.parallel.explain import Plan, plan

GRADIENT_BYTES = 60_965_224 * 4


def plan_of(strategy: str, ranks: int | None = None, **options: object) -> Plan:
    return plan(Config(strategy=StrategyConfig(strategy, options), launch=LaunchConfig(workers=ranks)))


def per_image(described: Plan) -> dict[str, tuple[float, float]]:
    rows = {w.layer: (w.forward_bytes_per_image, w.backward_bytes_per_image) for w in described.layers}
    return {layer: sent for layer, sent in rows.items() if sum(sent)}


def test_the_exchanges_of_2012() -> None:
    """234,496 bytes per image and pass where fc8 is on the first GPU."""
    described = plan_of("channel_split", fc8="first")
    assert per_image(described) == {"conv3": (173_056,) * 2, "fc6": (36_864,) * 2, "fc7": (16_384,) * 2, "fc8": (8_192,) * 2}
    assert sum(forward for forward, _ in per_image(described).values()) == 234_496
    assert "loss" not in described.exchange_bytes_per_step


def test_parameters_of_the_two_gpus_of_2012() -> None:
    assert plan_of("channel_split", fc8="first").parameters == [32_531_112, 28_434_112]


def test_a_split_fc8_sends_both_halves_and_two_numbers_per_image_for_the_loss() -> None:
    described = plan_of("channel_split")
    assert sum(forward for forward, _ in per_image(described).values()) == 242_688
    assert described.exchange_bytes_per_step["loss"] == {"forward": 128 * 2 * 2 * 4}
    assert described.parameters == [30_482_612, 30_482_612]


@pytest.mark.parametrize("ranks", [2, 3, 8])
def test_data_parallelism_sends_the_gradient_whatever_the_batch(ranks: int) -> None:
    described = plan_of("ddp", ranks)
    assert described.exchange_bytes_per_step == {"gradients": {"backward": 2 * (ranks - 1) * GRADIENT_BYTES}}
    assert described.parameters == [60_965_224] * ranks
    assert sum(described.rows) == 128


def test_one_process_sends_nothing() -> None:
    described = plan_of("single")
    assert described.exchange_bytes_per_step == {}
    assert described.layers[0].owners == {0: (0, 96)}


def test_owners_of_a_layer() -> None:
    layers = {layer.layer: layer.owners for layer in plan_of("channel_split", fc8="first").layers}
    assert layers["conv3"] == {0: (0, 192), 1: (192, 384)}
    assert layers["fc8"] == {0: (0, 1000)}


@pytest.mark.parametrize(
    ("strategy", "ranks", "message"),
    [
        ("channel_split", 1, "each of 2 ranks, but --gpus is 1; type --gpus 2, or --strategy single"),
        ("channel_split", 3, "each of 2 ranks, but --gpus is 3; type --gpus 2, or --strategy ddp"),
        ("single", 2, "single runs on 1 rank, not on 2; type --gpus 1"),
        ("ddp", 200, "global_batch=128 leaves nothing for some of the 200 ranks"),
        ("chanel_split", 2, "unknown strategy 'chanel_split'; did you mean 'channel_split'"),
    ],
)
def test_impossible_plans_are_refused(strategy: str, ranks: int, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        plan_of(strategy, ranks)


def test_options_are_checked() -> None:
    with pytest.raises(UsageError, match=r"strategy.options of channel_split: Key 'fc88' .* \(its options: fc8, wire, overlap\)"):
        plan_of("channel_split", fc88="split")
    with pytest.raises(UsageError, match="strategy.options of single: .*its options: none"):
        plan_of("single", fc8="split")
