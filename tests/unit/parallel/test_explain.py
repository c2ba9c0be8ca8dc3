"""What `explain` says of the network of 2012, by the figures of the originals; that what is sent is what it says is shown on ranks."""

from dataclasses import astuple
from unittest import mock

import pytest

from dist_alexnet import registry
from dist_alexnet.config import Config, LaunchConfig, StrategyConfig, TrainConfig, UsageError
from dist_alexnet.parallel import tables
from dist_alexnet.parallel.explain.layout import Layout, lay_out
from dist_alexnet.parallel.explain.memory import memory
from dist_alexnet.parallel.world import World
from strategies.pipeline.strategy import Pipeline

GRADIENT_BYTES = 60_965_224 * 4


def layout_of(strategy: str, ranks: int | None = None, **options: object) -> Layout:
    return lay_out(Config(strategy=StrategyConfig(strategy, options), launch=LaunchConfig(workers=ranks)))


def per_image(described: Layout) -> dict[str, tuple[float, float]]:
    rows = {w.layer: (w.forward_bytes_per_image, w.backward_bytes_per_image) for w in described.layers}
    return {layer: sent for layer, sent in rows.items() if sum(sent)}


def test_the_exchanges_of_2012() -> None:
    """234,496 bytes per image and pass where fc8 is on the first GPU."""
    described = layout_of("channel_split", fc8="first")
    assert per_image(described) == {"conv3": (173_056,) * 2, "fc6": (36_864,) * 2, "fc7": (16_384,) * 2, "fc8": (8_192,) * 2}
    assert sum(forward for forward, _ in per_image(described).values()) == 234_496
    assert "loss" not in described.exchange_bytes_per_step


def test_each_gpu_of_2012_sends_what_the_originals_say() -> None:
    """Per image: 86,528 B each way for conv3, 18,432 for fc6, 8,192 for fc7, and for fc8 from the second to the first alone."""
    layers = {layer.layer: layer for layer in layout_of("channel_split", fc8="first").layers}
    forward = {name: [sent / 128 for sent in layer.forward_bytes] for name, layer in layers.items() if layer.exchange}
    backward = {name: [sent / 128 for sent in layer.backward_bytes] for name, layer in layers.items() if layer.exchange}
    assert forward == {"conv3": [86_528] * 2, "fc6": [18_432] * 2, "fc7": [8_192] * 2, "fc8": [0, 8_192]}
    assert backward == {"conv3": [86_528] * 2, "fc6": [18_432] * 2, "fc7": [8_192] * 2, "fc8": [8_192, 0]}
    kinds = [(layer.exchange.forward, layer.exchange.backward) for layer in layers.values() if layer.exchange]
    assert kinds == [("all-gather", "reduce-scatter")] * 3 + [("send", "send")]


def test_the_collectives_of_2012_in_their_order() -> None:
    (group,) = layout_of("channel_split").groups
    assert group.ranks == [0, 1]
    assert [(one.direction, one.name) for one in group.collectives] == [
        *(("forward", name) for name in ("conv3", "fc6", "fc7", "fc8", "loss")),
        *(("backward", name) for name in ("fc8", "fc7", "fc6", "conv3")),
    ]


def test_two_data_parallel_ranks_send_the_gradient_once_each() -> None:
    (group,) = layout_of("ddp", 2).groups
    (message,) = group.collectives
    assert (message.name, message.kind, message.axes, message.bytes) == ("gradients", "all-reduce", ("data",), 243_860_896)
    assert group.memory.weights == group.memory.gradients == group.memory.momentum == 243_860_896


def test_a_shared_update_halves_the_momentum() -> None:
    shares = layout_of("ddp", 2, shard_optimizer=True).groups[0].memory
    assert (shares.weights, shares.momentum) == (GRADIENT_BYTES, GRADIENT_BYTES // 2)


def test_sharded_weights_take_half_and_two_whole_layers_at_a_time() -> None:
    described = layout_of("fsdp", 2)
    (group,) = described.groups
    assert group.memory.weights == group.memory.momentum == GRADIENT_BYTES // 2
    assert group.memory.gathered == (37_752_832 + 16_781_312) * 4 // 2
    assert layout_of("fsdp", 2, keep_gathered=True).groups[0].memory.gathered == GRADIENT_BYTES // 2
    assert described.layers[0].owners == {0: (0, 96), 1: (0, 96)}
    assert described.layers[0].stored == {0: (0, 48), 1: (48, 96)}


def test_an_early_stage_keeps_more_microbatches() -> None:
    """Of 8 microbatches of 16 rows, 2 on the first of two stages and 1 on the last."""
    config = Config(strategy=StrategyConfig("pipeline", {"microbatches": 8}))
    stages = [Pipeline(config, World(rank, 2)) for rank in range(2)]
    assert [stage.kept_rows(stage.own_layers[0], 128) for stage in stages] == [32, 16]


def test_the_turns_of_one_weird_trick_do_not_cut_the_gradients() -> None:
    group = layout_of("one_weird_trick", 4, scheme="b").groups[0]
    assert {one.name: one.messages for one in group.collectives} == {
        "labels": 4,
        "fc6": 4,
        "fc7": 4,
        "fc8": 4,
        "loss": 4,
        "gradients": 1,
    }


@pytest.mark.parametrize(
    ("strategy", "options"),
    [
        ("ddp", {}),
        ("hybrid", {"fc8": "first"}),
        ("one_weird_trick", {"fc_ranks": 4}),
        ("one_weird_trick", {"scheme": "c"}),
        ("fsdp", {}),
        ("pipeline", {}),
    ],
)
def test_a_rank_looked_at_from_another_is_the_rank_itself(strategy: str, options: dict[str, object]) -> None:
    """`lay_out` makes one strategy and looks from it at all ranks; here each is made for itself. 101 images do not divide evenly."""
    config = Config(strategy=StrategyConfig(strategy, options), train=TrainConfig(global_batch=101), launch=LaunchConfig(workers=8))
    described = lay_out(config)
    of_rank = {rank: group for group in described.groups for rank in group.ranks}
    assert sorted(of_rank) == list(range(8))
    for rank in range(8):
        itself = registry.load(registry.STRATEGIES, strategy)(config, World(rank, 8))
        expected = [(one.name, one.kind, one.direction, one.axes, float(one.sent), one.times) for one in itself.collectives(101)]
        assert [(*astuple(one)[:4], float(one.bytes), one.messages) for one in of_rank[rank].collectives] == expected
        assert of_rank[rank].memory == memory(itself, 101, fused=True)
        assert described.rows[rank] == len(range(*itself.rows(101).indices(101)))


@pytest.mark.parametrize("strategy", ["ddp", "hybrid", "one_weird_trick", "fsdp"])
def test_a_thousand_ranks_are_looked_at_once_each(strategy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a second; when each rank asked for every other it took 5 s."""
    asked = [mock.Mock(wraps=function) for function in (tables.interval, tables.split_rows)]
    monkeypatch.setattr(tables, "interval", asked[0])
    monkeypatch.setattr(tables, "split_rows", asked[1])
    described = lay_out(Config(strategy=StrategyConfig(strategy), train=TrainConfig(global_batch=1024), launch=LaunchConfig(workers=1024)))
    assert sum(function.call_count for function in asked) < 200 * 1024
    assert sum(len(group.ranks) for group in described.groups) == 1024


def test_parameters_of_the_two_gpus_of_2012() -> None:
    assert layout_of("channel_split", fc8="first").parameters == [32_531_112, 28_434_112]


def test_a_split_fc8_sends_both_halves_and_two_numbers_per_image_for_the_loss() -> None:
    described = layout_of("channel_split")
    assert sum(forward for forward, _ in per_image(described).values()) == 242_688
    assert described.exchange_bytes_per_step["loss"] == {"forward": 128 * 2 * 2 * 4}
    assert described.parameters == [30_482_612, 30_482_612]


@pytest.mark.parametrize("ranks", [2, 3, 8])
def test_data_parallelism_sends_the_gradient_whatever_the_batch(ranks: int) -> None:
    described = layout_of("ddp", ranks)
    assert described.exchange_bytes_per_step == {"gradients": {"backward": 2 * (ranks - 1) * GRADIENT_BYTES}}
    assert described.parameters == [60_965_224] * ranks
    assert sum(described.rows) == 128


def test_one_process_sends_nothing() -> None:
    described = layout_of("single")
    assert described.exchange_bytes_per_step == {}
    assert described.layers[0].owners == {0: (0, 96)}


def test_owners_of_a_layer() -> None:
    layers = {layer.layer: layer.owners for layer in layout_of("channel_split", fc8="first").layers}
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
        layout_of(strategy, ranks)


def test_options_are_checked() -> None:
    with pytest.raises(UsageError, match=r"strategy.options of channel_split: Key 'fc88' .* \(its options: fc8, wire, overlap\)"):
        layout_of("channel_split", fc88="split")
    with pytest.raises(UsageError, match="strategy.options of single: .*its options: none"):
        layout_of("single", fc8="split")
