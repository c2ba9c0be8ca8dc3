"""The network of 2012: eight layers. Krizhevsky et al. 2012, section 3.5 and figure 2.

Sizes are as the authors' code computed them, with `ceil`, which settles "224 or 227": the last filter of conv1 hangs over the right and
the bottom edge, so zeros are padded there and nowhere else.
"""

import math
from collections.abc import Callable
from functools import singledispatch

from dist_alexnet.config import ModelConfig
from dist_alexnet.model.layers import Layer
from dist_alexnet.model.networks.builder import Builder
from dist_alexnet.model.operations.activation import Relu
from dist_alexnet.model.operations.dropout import Dropout
from dist_alexnet.model.operations.normalization import LRN_SIZE, LocalResponseNorm
from dist_alexnet.model.operations.pooling import MaxPool

# Layers that read both towers, by model.connect (section 3.5 of the paper, and the experiments in the authors' notes).
JOINING = {
    "conv3": {"conv3", "fc6", "fc7", "fc8"},
    "none": {"fc8"},
    "conv4": {"conv4", "fc6", "fc7", "fc8"},
    "all": {"conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8"},
}
LRN_ALPHA = {"paper": 1e-4, "code": 1e-4 / LRN_SIZE}  # the authors' parser divided alpha by n
# Standard deviation of the initial weights by model.init: section 5 of the paper; layers-145.cfg of the authors; He et al. 2015, eq. 10.
WEIGHT_STD: dict[str, Callable[[str, int], float]] = {
    "paper": lambda name, fan_in: 0.01,
    "code": lambda name, fan_in: 0.03 if name in ("conv3", "conv4", "conv5") else 0.01,
    "fan_in": lambda name, fan_in: math.sqrt(2 / fan_in),
}


@singledispatch
def describe(model: ModelConfig) -> tuple[Layer, ...]:
    """The layers of a configuration; 1000 classes, as in the paper, where `model.classes` is null.

    Everybody who asks for layers asks here. The settings of another network are a subclass of `ModelConfig`, and its table is a function
    that `@describe.register` registers for that subclass.
    """
    widths = model.widths
    norm = (LocalResponseNorm(LRN_ALPHA[model.lrn]),) if model.lrn in LRN_ALPHA else ()
    drop = (Dropout(model.dropout),) if model.dropout else ()
    add = Builder(3, model.image_size, towers=model.towers, joining=JOINING[model.connect], weight_std=WEIGHT_STD[model.init])
    add.conv("conv1", widths.conv1, kernel=11, stride=4, then=(Relu(), *norm, MaxPool()))
    add.conv("conv2", widths.conv2, kernel=5, padding=2, bias=1.0, then=(Relu(), *norm, MaxPool()))
    add.conv("conv3", widths.conv3, kernel=3, padding=1, then=(Relu(),))
    add.conv("conv4", widths.conv4, kernel=3, padding=1, bias=1.0, then=(Relu(),))
    add.conv("conv5", widths.conv5, kernel=3, padding=1, bias=1.0, then=(Relu(), MaxPool()))
    add.linear("fc6", widths.fc6, bias=1.0, then=(Relu(), *drop))
    add.linear("fc7", widths.fc7, bias=1.0, then=(Relu(), *drop))
    add.linear("fc8", model.classes or 1000)
    return add.layers
