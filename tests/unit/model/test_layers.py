"""The network of 2012 by its published numbers (Krizhevsky et al. 2012, section 3.5)."""

import pytest

from dist_alexnet.config import ModelConfig, UsageError, Widths
from dist_alexnet.model.networks.alexnet import describe
from dist_alexnet.model.operations.normalization import LocalResponseNorm

PARAMETERS = {
    "conv1": 34_944,
    "conv2": 307_456,
    "conv3": 885_120,
    "conv4": 663_936,
    "conv5": 442_624,
    "fc6": 37_752_832,
    "fc7": 16_781_312,
    "fc8": 4_097_000,
}


def test_parameters_and_multiply_adds_of_2012() -> None:
    layers = describe(ModelConfig())
    assert {layer.name: layer.parameters for layer in layers} == PARAMETERS
    assert sum(layer.parameters for layer in layers) == 60_965_224
    assert sum(layer.multiply_adds for layer in layers) == 724_406_816


def test_map_sizes_of_2012() -> None:
    layers = describe(ModelConfig())
    assert [layer.output_size for layer in layers[:5]] == [55, 27, 13, 13, 13]
    assert [layer.result_size for layer in layers[:5]] == [27, 13, 13, 13, 6]
    assert [layer.overhang for layer in layers] == [3, 0, 0, 0, 0, 0, 0, 0], "zeros at the right and the bottom of the image only"


def test_what_follows_each_layer() -> None:
    layers = {layer.name: layer for layer in describe(ModelConfig())}
    then = {name: [operation.name for operation in layer.then] for name, layer in layers.items()}
    assert then["conv1"] == then["conv2"] == ["ReLU", "LRN", "max-pool"]
    assert then["conv3"] == then["conv4"] == ["ReLU"]
    assert then["conv5"] == ["ReLU", "max-pool"]
    assert then["fc6"] == then["fc7"] == ["ReLU", "dropout"]
    assert then["fc8"] == []
    assert [name for name, layer in layers.items() if layer.groups == 2] == ["conv2", "conv4", "conv5"]
    assert [name for name, layer in layers.items() if layer.bias == 1] == ["conv2", "conv4", "conv5", "fc6", "fc7"]
    assert {name: layer.dropout for name, layer in layers.items() if layer.dropout} == {"fc6": 0.5, "fc7": 0.5}


def test_roles_in_the_network() -> None:
    layers = describe(ModelConfig())
    assert [layer.name for layer in layers if layer.is_first] == ["conv1"]
    assert [layer.name for layer in layers if layer.is_first_linear] == ["fc6"]
    assert [layer.name for layer in layers if layer.is_last] == ["fc8"]
    assert [layer.input_shape for layer in layers[::5]] == [(3, 224, 224), (256, 6, 6)]
    assert [layer.input_shape for layer in layers[1:]] == [layer.result_shape for layer in layers[:-1]]


def test_one_tower_has_no_groups() -> None:
    layers = describe(ModelConfig(towers=1))
    assert all(layer.groups == 1 for layer in layers)
    assert sum(layer.parameters for layer in layers) == 62_378_344


@pytest.mark.parametrize(("lrn", "alpha"), [("paper", 1e-4), ("code", 2e-5), ("none", None)])
def test_alpha_of_the_normalisation(lrn: str, alpha: float | None) -> None:
    alphas = [operation.alpha for operation in describe(ModelConfig(lrn=lrn))[0].then if isinstance(operation, LocalResponseNorm)]
    assert alphas == ([] if alpha is None else [pytest.approx(alpha)])


def test_initial_weights_by_convention() -> None:
    def deviations(init: str) -> list[float]:
        return [layer.weight_std for layer in describe(ModelConfig(init=init))]

    assert deviations("paper") == [0.01] * 8
    assert deviations("code") == [0.01, 0.01, 0.03, 0.03, 0.03, 0.01, 0.01, 0.01]
    assert deviations("fan_in")[5] == pytest.approx((2 / 9216) ** 0.5)


@pytest.mark.parametrize("size", range(36, 260))
def test_every_image_size_from_36_gives_maps(size: int) -> None:
    for layer in describe(ModelConfig(image_size=size)):
        assert layer.output_size >= 1
        assert 0 <= layer.overhang < layer.stride


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"image_size": 35}, "at least 36 pixels"),
        ({"towers": 3}, "1 or 2 towers"),
        ({"widths": Widths(conv3=385)}, r"model.widths.conv3=385: must be a positive multiple of model.towers=2"),
        ({"dropout": 1.0}, "0 <= dropout < 1"),
    ],
)
def test_impossible_models_are_refused(model: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ModelConfig(**model)
