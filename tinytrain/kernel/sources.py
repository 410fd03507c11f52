"""Which files of the runtime a model needs: those with the kernels it calls, and their headers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tinytrain import resources
from tinytrain.errors import InternalError
from tinytrain.isa import INSTRUCTION_SETS, InstructionSet

# The start of a kernel's name, and the source that defines it; the first match counts.
_SOURCES = (
    ("tt_depthwise_conv2d_", "tt_depthwise_conv2d.c"),
    ("tt_conv2d_", "tt_conv2d.c"),
    ("tt_add_", "tt_add.c"),
    ("tt_round_sums_", "tt_round_sums.c"),
    ("tt_multiply_", "tt_multiply.c"),
    ("tt_avg_pool2d_", "tt_avg_pool2d.c"),
    ("tt_max_pool2d_", "tt_max_pool2d.c"),
    ("tt_lookup_", "tt_lookup.c"),
    ("tt_copy_rows", "tt_copy.c"),
    ("tt_gather_channels", "tt_copy.c"),
    ("tt_transpose", "tt_copy.c"),
    ("tt_quantize_gradient_", "tt_quantize_gradient.c"),
    ("tt_quantize_", "tt_convert.c"),
    ("tt_dequantize_", "tt_convert.c"),
    ("tt_clamp_mask_", "tt_clamp.c"),
    ("tt_grad_clamp_", "tt_clamp.c"),
    ("tt_grad_add_", "tt_grad_add.c"),
    ("tt_bias_", "tt_bias.c"),
    ("tt_exp_", "tt_loss.c"),
    ("tt_log_", "tt_loss.c"),
    ("tt_argmax_", "tt_loss.c"),
    ("tt_all_finite_", "tt_loss.c"),
    ("tt_softmax_cross_entropy_", "tt_loss.c"),
    ("tt_smoothed_cross_entropy_", "tt_loss.c"),
    ("tt_mean_squared_error_", "tt_loss.c"),
    ("tt_apply_", "tt_apply.c"),
    ("tt_squares_", "tt_apply.c"),
    ("tt_clip_factor", "tt_apply.c"),
    ("tt_count_ends_", "tt_health.c"),
    ("tt_scales_", "tt_step.c"),
    ("tt_set_rate", "tt_step.c"),
    ("tt_rate_at", "tt_schedule.c"),
    ("tt_state_", "tt_state.c"),
    ("tt_crc32", "tt_crc32.c"),
    ("tt_replay_flash_", "tt_replay_flash.c"),
    ("tt_replay_", "tt_replay.c"),
    ("tt_stripe_", "tt_line_buffer.h"),
    ("tt_metrics_", "tt_metrics.c"),
    ("tt_early_stop_", "tt_metrics.c"),
)

_RICHER = [isa for isa in INSTRUCTION_SETS.values() if isa.suffix]

# `tt_state.c` calls them, or the application does.
_ALWAYS = ("tt_state.c", "tt_step.c", "tt_crc32.c", "tt_metrics.c")


def source_of(kernel: str) -> str:
    """The source file that defines a kernel.

    Raises:
        InternalError: no file does.
    """
    for suffix in (isa.suffix for isa in _RICHER):
        if kernel.endswith(suffix):
            plain = kernel.removesuffix(suffix)
            own = re.sub(r"_(s8|s16|s32|f32)(?=_|$)", "", plain) + suffix + ".c"
            shared = source_of(plain).removesuffix(".c") + suffix + ".c"
            return own if _source(own).is_file() else shared
    for start, file in _SOURCES:
        if kernel.startswith(start):
            return file
    raise InternalError(f"no source file defines {kernel}")


@dataclass(frozen=True)
class KernelSet:
    """What a model calls of the kernels for one instruction set.

    Attributes:
        isa: the instruction set; not the portable one.
        kernels: names without its suffix, sorted.
    """

    isa: InstructionSet
    kernels: tuple[str, ...]


def kernel_sets(kernels: Iterable[str]) -> list[KernelSet]:
    """The kernels for instruction sets among those that a model calls."""
    names = set(kernels)
    sets = []
    for isa in _RICHER:
        own = [name.removesuffix(isa.suffix) for name in names if name.endswith(isa.suffix)]
        if own:
            sets.append(KernelSet(isa, tuple(sorted(own))))
    return sets


def _source(name: str) -> Path:
    return resources.folder("runtime_c") / "src" / name


def runtime_files(code: str) -> dict[str, str]:
    """Text of the runtime's files that generated code needs, by path in a generated folder.

    Args:
        code: the model's source.
    """
    root = resources.folder("runtime_c")
    kernels = set(re.findall(r"\b(tt_\w+)\(", code))
    # On another core the portable twin takes the place of a kernel for an instruction set.
    kernels |= {twin for found in kernel_sets(kernels) for twin in found.kernels}
    pending = sorted({source_of(kernel) for kernel in kernels} | set(_ALWAYS))
    files: dict[str, str] = {}
    while pending:
        name = pending.pop()
        place = "src" if (root / "src" / name).is_file() else "include"
        if f"{place}/{name}" in files:
            continue
        text = (root / place / name).read_text(encoding="utf-8")
        files[f"{place}/{name}"] = text
        pending += includes(text)
        # What a private header such as tt_dot.h declares, the source of the same name defines.
        source = name.removesuffix(".h") + ".c"
        if name.endswith(".h") and (root / "src" / source).is_file():
            pending.append(source)
    return files


def includes(text: str) -> list[str]:
    """Files that a source of the runtime includes by name."""
    # A gradient's body is included by way of a macro that holds its name.
    return re.findall(r'^\s*#\s*(?:include|define\s+TT_BODY)\s+"([^"]+)"', text, re.MULTILINE)
