"""Every layer of torch.nn that could stand in a network for a microcontroller, with an example."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

Make = Callable[[], nn.Module]
Call = Callable[[Any, torch.Tensor], torch.Tensor]

SHAPES = {"map": (3, 8, 8), "signal": (6, 16), "vector": (12,), "volume": (2, 4, 4, 4)}
CHANNELS = 8


@dataclass(frozen=True)
class Layer:
    """A layer of torch.nn.

    Attributes:
        name: of its class.
        on: what it works on: a map, a signal, a vector or a volume of 8 channels or features.
        make: makes it.
        call: how the network calls it.
    """

    name: str
    on: str
    make: Make
    call: Call


class _Body(nn.Module):
    """A layer with weights, and behind it the layer in question."""

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        first: dict[str, Make] = {
            "map": lambda: nn.Conv2d(3, CHANNELS, 3, padding=1),
            "signal": lambda: nn.Conv1d(6, CHANNELS, 3, padding=1),
            "vector": lambda: nn.Linear(12, CHANNELS),
            "volume": lambda: nn.Identity(),
        }
        self.first = first[layer.on]()
        self.layer = layer.make()
        self._call = layer.call

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.flatten(self._call(self.layer, self.first(x)), 1)


def network(layer: Layer) -> tuple[nn.Module, torch.Tensor]:
    """A classifier of four that holds the layer, and an input."""
    torch.manual_seed(0)
    body = _Body(layer).eval()
    x = torch.randn(1, *SHAPES[layer.on])
    with torch.no_grad():
        features = body(x).shape[1]
    return nn.Sequential(body, nn.Linear(features, 4)).eval(), x


def _applied(layer: Any, x: torch.Tensor) -> torch.Tensor:
    result: torch.Tensor = layer(x)
    return result


def _first(layer: Any, x: torch.Tensor) -> torch.Tensor:
    result: torch.Tensor = layer(x)[0]
    return result


def _rows(on: str, *names: str, **arguments: Any) -> list[Layer]:
    return [
        Layer(name, on, lambda name=name: getattr(nn, name)(**arguments), _applied)  # type: ignore[misc]
        for name in names
    ]


def _sequence(layer: Any, x: torch.Tensor) -> torch.Tensor:
    """Channels last, as recurrent layers and attention take a signal."""
    x = x.transpose(1, 2)
    one = isinstance(layer, nn.RNNBase | nn.TransformerEncoder | nn.TransformerEncoderLayer)
    three = isinstance(layer, nn.MultiheadAttention)
    result = layer(*[x] * (1 if one else 3 if three else 2))
    first: torch.Tensor = result[0] if isinstance(result, tuple) else result
    return first


def _sequences(*names: str, **arguments: Any) -> list[Layer]:
    rows = _rows("signal", *names, batch_first=True, **arguments)
    return [replace(layer, call=_sequence) for layer in rows]


def _encoder() -> nn.Module:
    return nn.TransformerEncoderLayer(CHANNELS, 2, 8, batch_first=True)


def _decoder() -> nn.Module:
    return nn.TransformerDecoderLayer(CHANNELS, 2, 8, batch_first=True)


def _twice(layer: Any, x: torch.Tensor) -> torch.Tensor:
    result: torch.Tensor = layer(x, x * x)
    return result


def _unpooled(pool: Any) -> Call:
    def call(layer: Any, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = layer(*pool(x, 2, return_indices=True))
        return result

    return call


def _indexed(layer: Any, x: torch.Tensor) -> torch.Tensor:
    result: torch.Tensor = layer(x.abs().to(torch.int64) % 4)
    return result


F = nn.functional
LAYERS: tuple[Layer, ...] = (
    *_rows("vector", "Linear", in_features=CHANNELS, out_features=6),
    *_rows("signal", "Conv1d", in_channels=CHANNELS, out_channels=6, kernel_size=3),
    *_rows("map", "Conv2d", in_channels=CHANNELS, out_channels=6, kernel_size=3),
    *_rows("volume", "Conv3d", in_channels=2, out_channels=2, kernel_size=3),
    *_rows("signal", "ConvTranspose1d", in_channels=CHANNELS, out_channels=6, kernel_size=2),
    *_rows("map", "ConvTranspose2d", in_channels=CHANNELS, out_channels=6, kernel_size=2),
    *_rows("volume", "ConvTranspose3d", in_channels=2, out_channels=2, kernel_size=2),
    Layer("Bilinear", "vector", lambda: nn.Bilinear(CHANNELS, CHANNELS, 4), _twice),
    *_rows("signal", "MaxPool1d", "AvgPool1d", kernel_size=2),
    *_rows("map", "MaxPool2d", "AvgPool2d", kernel_size=2),
    *_rows("volume", "MaxPool3d", "AvgPool3d", kernel_size=2),
    *_rows("signal", "AdaptiveAvgPool1d", "AdaptiveMaxPool1d", output_size=4),
    *_rows("map", "AdaptiveAvgPool2d", "AdaptiveMaxPool2d", output_size=2),
    *_rows("volume", "AdaptiveAvgPool3d", "AdaptiveMaxPool3d", output_size=2),
    *_rows("signal", "LPPool1d", norm_type=2, kernel_size=2),
    *_rows("map", "LPPool2d", norm_type=2, kernel_size=2),
    *_rows("volume", "LPPool3d", norm_type=2, kernel_size=2),
    *_rows("map", "FractionalMaxPool2d", kernel_size=2, output_size=4),
    *_rows("volume", "FractionalMaxPool3d", kernel_size=2, output_size=2),
    Layer("MaxUnpool1d", "signal", lambda: nn.MaxUnpool1d(2), _unpooled(F.max_pool1d)),
    Layer("MaxUnpool2d", "map", lambda: nn.MaxUnpool2d(2), _unpooled(F.max_pool2d)),
    Layer("MaxUnpool3d", "volume", lambda: nn.MaxUnpool3d(2), _unpooled(F.max_pool3d)),
    *_rows("vector", "ReLU", "ReLU6", "LeakyReLU", "PReLU", "ELU", "SELU", "CELU", "GELU", "SiLU"),
    *_rows("vector", "Mish", "Sigmoid", "Tanh", "Hardswish", "Hardsigmoid", "Hardtanh", "RReLU"),
    *_rows("vector", "Softplus", "Softsign", "LogSigmoid", "Tanhshrink"),
    *_rows("vector", "Softshrink", "Hardshrink"),
    *_rows("vector", "Threshold", threshold=0.1, value=-0.5),
    *_rows("map", "GLU", dim=1),
    *_rows("map", "Softmax2d"),
    *_rows("vector", "Softmax", "LogSoftmax", "Softmin", dim=1),
    *_rows("signal", "BatchNorm1d", "InstanceNorm1d", num_features=CHANNELS),
    *_rows("map", "BatchNorm2d", "SyncBatchNorm", "InstanceNorm2d", num_features=CHANNELS),
    *_rows("volume", "BatchNorm3d", "InstanceNorm3d", num_features=2),
    *_rows("map", "GroupNorm", num_groups=2, num_channels=CHANNELS),
    *_rows("vector", "LayerNorm", "RMSNorm", normalized_shape=CHANNELS),
    *_rows("map", "LocalResponseNorm", "CrossMapLRN2d", size=3),
    *_rows("map", "Dropout", "Dropout2d", "AlphaDropout", "FeatureAlphaDropout", "Identity"),
    *_rows("signal", "Dropout1d"),
    *_rows("volume", "Dropout3d"),
    *_rows("map", "Flatten"),
    *_rows("vector", "Unflatten", dim=1, unflattened_size=(2, 4)),
    *_rows("map", "PixelShuffle", upscale_factor=2),
    *_rows("map", "PixelUnshuffle", downscale_factor=2),
    *_rows("map", "ChannelShuffle", groups=2),
    *_rows("map", "Upsample", "UpsamplingNearest2d", "UpsamplingBilinear2d", scale_factor=2),
    *_rows("signal", "ZeroPad1d", "ReflectionPad1d", "ReplicationPad1d", padding=1),
    *_rows("map", "ZeroPad2d", "ReflectionPad2d", "ReplicationPad2d", padding=1),
    *_rows("volume", "ZeroPad3d", "ReflectionPad3d", "ReplicationPad3d", padding=1),
    *_rows("signal", "CircularPad1d", padding=1),
    *_rows("map", "CircularPad2d", padding=1),
    *_rows("volume", "CircularPad3d", padding=1),
    *_rows("signal", "ConstantPad1d", padding=1, value=0.0),
    *_rows("map", "ConstantPad2d", padding=1, value=0.0),
    *_rows("volume", "ConstantPad3d", padding=1, value=0.0),
    *_rows("map", "Unfold", kernel_size=2),
    Layer("Fold", "map", lambda: nn.Fold(4, 2), lambda f, x: f(x.flatten(2)[:, :, :9])),
    *_sequences("RNN", "LSTM", "GRU", input_size=CHANNELS, hidden_size=6),
    *_rows("vector", "RNNCell", "GRUCell", input_size=CHANNELS, hidden_size=6),
    Layer("LSTMCell", "vector", lambda: nn.LSTMCell(CHANNELS, 6), _first),
    *_sequences("MultiheadAttention", embed_dim=CHANNELS, num_heads=2),
    *_sequences("TransformerEncoderLayer", "TransformerDecoderLayer", d_model=CHANNELS, nhead=2),
    Layer("TransformerEncoder", "signal", lambda: nn.TransformerEncoder(_encoder(), 1), _sequence),
    Layer("TransformerDecoder", "signal", lambda: nn.TransformerDecoder(_decoder(), 1), _sequence),
    *_sequences("Transformer", d_model=CHANNELS, nhead=2),
    Layer("Embedding", "vector", lambda: nn.Embedding(4, 3), _indexed),
    Layer("EmbeddingBag", "vector", lambda: nn.EmbeddingBag(4, 3), _indexed),
    Layer("CosineSimilarity", "map", lambda: nn.CosineSimilarity(), _twice),
    Layer("PairwiseDistance", "vector", lambda: nn.PairwiseDistance(keepdim=True), _twice),
)  # fmt: skip


INSTEAD: dict[str, str] = {
    "use 1-D or 2-D convolutions": (
        "Conv3d MaxPool3d AvgPool3d AdaptiveAvgPool3d AdaptiveMaxPool3d LPPool3d"
    ),
    "export the model with an input of [1,I], [1,C,L] or [1,C,H,W]": (
        "BatchNorm3d Dropout3d ZeroPad3d ConstantPad3d"
    ),
    "use a nearest-neighbour resize by a whole factor and a convolution": (
        "ConvTranspose1d ConvTranspose2d ConvTranspose3d"
    ),
    "concatenate both inputs, and use a dense layer": "Bilinear",
    "use a max pooling with a fixed window": "FractionalMaxPool2d FractionalMaxPool3d",
    "use strided convolutions and nearest-neighbour resizes": (
        "MaxUnpool1d MaxUnpool2d MaxUnpool3d"
    ),
    "use softmax only as the last step of a classifier; a sigmoid can weigh features": (
        "Softmax2d Softmax LogSoftmax Softmin"
    ),
    "use batch normalisation, which is folded into the layer before it": (
        "InstanceNorm1d InstanceNorm2d InstanceNorm3d GroupNorm LayerNorm RMSNorm "
        "LocalResponseNorm CrossMapLRN2d"
    ),
    "resize by whole factors with nearest neighbours": "UpsamplingBilinear2d",
    "pad height and width with zeros, best inside the convolution or pooling layer": (
        "ReflectionPad1d ReflectionPad2d ReflectionPad3d ReplicationPad1d ReplicationPad2d "
        "ReplicationPad3d CircularPad1d CircularPad2d CircularPad3d"
    ),
    "use a convolution, which reads its windows itself": "Unfold Fold",
    "use a stack of dilated 1-D convolutions (a TCN) in place of a recurrent layer": (
        "RNN LSTM GRU RNNCell LSTMCell GRUCell"
    ),
    "use convolutions and a global mean in place of attention": (
        "MultiheadAttention TransformerEncoderLayer TransformerDecoderLayer TransformerEncoder "
        "TransformerDecoder Transformer"
    ),
    "look up features in the firmware": "Embedding EmbeddingBag",
    "end the model at its embedding, and compare in the firmware": (
        "CosineSimilarity PairwiseDistance"
    ),
}
"""What an error says is to be used in the place of layers; those that stand nowhere are taken."""


def instead_of(name: str) -> str | None:
    """What is to be used in the place of a layer; None if it is taken."""
    return next((help for help, names in INSTEAD.items() if name in names.split()), None)
