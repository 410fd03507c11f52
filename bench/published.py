"""What others reached: figures of their papers, and counts of their code made for this project.

The counts are instructions per nominal MAC under QEMU with `-icount shift=0`, gcc 12.2, the same
layers. TTE is TinyEngine's training kernels (mit-han-lab/tinyengine) at -Ofast: s8 forward with
float requantization, f32 backward.
"""

from __future__ import annotations

STEP_MODEL = "MCUNet-5FPS, 49 KB scheme, 10 classes"

TTE_STEP = {
    "cortex-m7": {"step": 106_400_000, "forward": 65_000_000, "backward": 41_300_000},
    "cortex-m4": {"step": 120_100_000},
}
"""One training step of TTE as released, -Ofast."""

TTE_MILLISECONDS = 546
BOARD_MHZ = 216
"""One training step of TTE for MCUNet-5FPS on an STM32F746, and the board's clock, as published;
the paper does not say which of its schemes it is."""

PER_MAC = {
    # layer: TTE forward, CMSIS-NN forward on M7, the same on M55, TTE dX, TTE dW with update
    "pointwise 8x8, 48 to 240": (1.70, 2.29, 0.465, 3.60, 3.88),
    "pointwise 4x4, 96 to 576": (1.80, 2.02, 0.318, 3.58, 4.15),
    "pointwise 4x4, 576 to 160": (1.62, 1.65, 0.196, 3.57, 4.12),
    "depthwise 7x7 s2, 240, 8x8": (4.59, 7.39, 1.43, 9.54, None),
    "depthwise 5x5 s1, 384, 4x4": (4.97, 7.92, 1.60, 3.01, None),
    "pointwise 64x64, 8 to 32": (4.56, 6.69, 2.14, None, None),
    "depthwise 3x3 s2, 32, 64x64": (7.48, 8.84, 2.69, None, None),
    "conv 3x3 s2, 3 to 16, 128x128": (1.98, 4.86, 1.36, None, None),
}
"""Kernel by kernel; None where nobody has the kernel or it was not counted."""

NOTES = (
    "PULP-TrainLib, 4x4 blocked f32 matmul without an update: 1.7 to 2.0 per MAC (M7).",
    "AIfES, f32: dense layers 5 to 8, its convolution 40 to 115 per MAC.",
    "A hand-written 2x2 SMLAD block over s8 operands reached 1.21 to 1.32 before requantization; "
    "0.75 by counting, with operands already widened.",
    "TTE backward and update: 41.3 M for 9.93 M MACs, 4.16 per MAC, f32.",
)
