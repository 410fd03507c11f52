"""Networks for images and spectrograms, [N, C, H, W], as people write them in PyTorch."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


def conv(
    inputs: int,
    outputs: int,
    kernel: int = 1,
    stride: int = 1,
    groups: int = 1,
    activation: type[nn.Module] | None = nn.ReLU,
) -> nn.Sequential:
    """A convolution, its batch normalisation and an activation."""
    layers = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, *([activation()] if activation else []))


class DsCnn(nn.Module):
    """DS-CNN: Zhang and others, "Hello Edge: Keyword Spotting on Microcontrollers", 2017.

    Args:
        classes: outputs; 1 for a wake word.
        width: channels of every layer.
    """

    def __init__(self, classes: int, width: int = 32) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(1, width, (10, 4), stride=2, padding=(5, 1), bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        )
        self.blocks = nn.Sequential(
            *[
                nn.Sequential(conv(width, width, 3, groups=width), conv(width, width))
                for _ in range(4)
            ]
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(0.2)
        self.head = nn.Linear(width, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.pool(self.blocks(self.stem(x)))
        return self.head(self.dropout(torch.flatten(x, 1)))


class ShuffleUnit(nn.Module):
    """Half of the channels pass; or, with a stride, two branches; then the channel shuffle."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        half = outputs // 2
        self.stride = stride
        if stride > 1:
            self.short = nn.Sequential(
                conv(inputs, inputs, 3, stride, inputs, activation=None), conv(inputs, half)
            )
        self.long = nn.Sequential(
            conv(inputs if stride > 1 else half, half),
            conv(half, half, 3, stride, half, activation=None),
            conv(half, half),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.stride == 1:
            kept, worked = x.chunk(2, dim=1)
            y = torch.cat((kept, self.long(worked)), dim=1)
        else:
            y = torch.cat((self.short(x), self.long(x)), dim=1)
        n, c, h, w = y.size()
        y = y.view(n, 2, c // 2, h, w)
        return torch.transpose(y, 1, 2).contiguous().view(n, c, h, w)


class ShuffleNetV2(nn.Module):
    """ShuffleNetV2 x0.5 (Ma and others, ECCV 2018) without the pool behind the stem, for 32x32."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        stages: list[nn.Module] = []
        inputs = 24
        for outputs, repeats in ((48, 4), (96, 8), (192, 4)):
            units = [ShuffleUnit(inputs, outputs, 2)]
            units += [ShuffleUnit(outputs, outputs, 1) for _ in range(repeats - 1)]
            stages.append(nn.Sequential(*units))
            inputs = outputs
        self.stem = conv(3, 24, 3, 2)
        self.stages = nn.Sequential(*stages)
        self.last = conv(192, 1024)
        self.head = nn.Linear(1024, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.last(self.stages(self.stem(x)))
        return self.head(x.mean([2, 3]))


class ResidualBlock(nn.Module):
    """Two convolutions beside a skip; a 1x1 convolution on the skip where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv(inputs, outputs, 3, stride), conv(outputs, outputs, 3, activation=None)
        )
        self.skip = (
            nn.Identity()
            if stride == 1 and inputs == outputs
            else conv(inputs, outputs, 1, stride, activation=None)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.relu(self.body(x) + self.skip(x))


class ResNet14(nn.Module):
    """ResNet-14 for CIFAR-10 (He and others, CVPR 2016, section 4.2 with n = 2)."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.stem = conv(3, 16, 3)
        self.body = nn.Sequential(
            *(ResidualBlock(16, 16, 1) for _ in range(2)),
            ResidualBlock(16, 32, 2),
            ResidualBlock(32, 32, 1),
            ResidualBlock(32, 64, 2),
            ResidualBlock(64, 64, 1),
        )
        self.pool = nn.AdaptiveAvgPool2d((1, 1))
        self.head = nn.Linear(64, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.flatten(self.pool(self.body(self.stem(x))), 1))


class SqueezeExcite(nn.Module):
    """Channels weighted by what all positions together say."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = max(8, channels // 4 // 8 * 8)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.down = nn.Conv2d(channels, hidden, 1)
        self.up = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weights = functional.relu(self.down(self.pool(x)))
        return x * functional.hardsigmoid(self.up(weights))


class MobileBlock(nn.Module):
    """Expand, filter, weight, project; a skip where the shape stays."""

    def __init__(
        self, inputs: int, hidden: int, outputs: int, kernel: int, stride: int, excites: bool
    ) -> None:
        super().__init__()
        activation = nn.Hardswish if hidden > 32 else nn.ReLU
        layers: list[nn.Module] = []
        if hidden != inputs:
            layers.append(conv(inputs, hidden, activation=activation))
        layers.append(conv(hidden, hidden, kernel, stride, hidden, activation=activation))
        if excites:
            layers.append(SqueezeExcite(hidden))
        layers.append(conv(hidden, outputs, activation=None))
        self.body = nn.Sequential(*layers)
        self.skips = stride == 1 and inputs == outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.body(x)
        return x + y if self.skips else y


class MobileNetV3Small(nn.Module):
    """MobileNetV3-small (Howard and others, ICCV 2019) at width 0.35."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        # Hidden and output channels, kernel, stride, squeeze and excitation.
        rows = (
            (8, 8, 3, 2, True),
            (24, 8, 3, 2, False),
            (32, 8, 3, 1, False),
            (32, 16, 5, 2, True),
            (88, 16, 5, 1, True),
            (88, 16, 5, 1, True),
            (40, 16, 5, 1, True),
            (48, 16, 5, 1, True),
            (104, 32, 5, 2, True),
            (200, 32, 5, 1, True),
            (200, 32, 5, 1, True),
        )
        blocks: list[nn.Module] = []
        inputs = 8
        for hidden, outputs, kernel, stride, excites in rows:
            blocks.append(MobileBlock(inputs, hidden, outputs, kernel, stride, excites))
            inputs = outputs
        self.stem = conv(3, 8, 3, 2, activation=nn.Hardswish)
        self.blocks = nn.Sequential(*blocks)
        self.last = conv(inputs, 200, activation=nn.Hardswish)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            nn.Linear(200, 256), nn.Hardswish(), nn.Dropout(0.2), nn.Linear(256, classes)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.pool(self.last(self.blocks(self.stem(x))))
        return self.classifier(torch.flatten(x, 1))


class Fire(nn.Module):
    """Squeeze to few channels, expand by 1x1 and 3x3 side by side."""

    def __init__(self, inputs: int, squeezed: int, outputs: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeezed, 1)
        self.small = nn.Conv2d(squeezed, outputs // 2, 1)
        self.large = nn.Conv2d(squeezed, outputs // 2, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.relu(self.squeeze(x))
        return torch.cat([functional.relu(self.small(x)), functional.relu(self.large(x))], 1)


class SqueezeNet(nn.Module):
    """SqueezeNet 1.1 (Iandola and others, 2016) with a quarter of its channels."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 16, 3, stride=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            Fire(16, 4, 32),
            Fire(32, 4, 32),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            Fire(32, 8, 64),
            Fire(64, 8, 64),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            Fire(64, 12, 96),
            Fire(96, 12, 96),
            Fire(96, 16, 128),
            Fire(128, 16, 128),
        )
        self.classifier = nn.Sequential(
            nn.Dropout(0.5),
            nn.Conv2d(128, classes, 1),
            nn.ReLU(inplace=True),
            nn.AdaptiveAvgPool2d((1, 1)),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.flatten(self.classifier(self.features(x)), 1)
