"""A mistake planted in the C sources must make the kernel tests fail: the one that is named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.runtime.build import build
from tests.support.runtime.rerun import run_kernel_tests

MISTAKES = {
    "zero point left out of the weight gradient": (
        "test_conv2d_grad_weight",
        "tt_conv2d_grad.inc.h",
        "(TT_ACC)(element[j] - zero) * pair->gradient",
        "(TT_ACC)element[j] * pair->gradient",
    ),
    "gradient truncated where it is rounded": (
        "test_conv2d_grad_input",
        "tt_requantize.h",
        "return (value + ((1 << (shift - 1)) - 1) + ((value >> shift) & 1)) >> shift;",
        "return value / (1 << shift);",
    ),
    "ties of gradients rounded up": (
        "test_grad_add",
        "tt_requantize.h",
        "((1 << (shift - 1)) - 1) + ((value >> shift) & 1)) >> shift;",
        "(1 << (shift - 1))) >> shift;",
    ),
    "update truncated": (
        "test_bias_grad",
        "tt_sgd.h",
        "return (product + (int64_t)u) >> h;",
        "return product >> h;",
    ),
    "one branch of a residual dropped": (
        "test_grad_add",
        "tt_grad_add.inc.h",
        "tt_rounded_, )(left + right,",
        "tt_rounded_, )(right + right,",
    ),
    "weights wrap": (
        "test_saturation_of_weights",
        "tt_sgd.h",
        "tt_clamp_s32(moved, -128 * (1 << bits)",
        "tt_clamp_s32(moved, -256 * (1 << bits)",
    ),
    "random numbers start anew for each channel": (
        "test_conv2d_grad_weight",
        "tt_sgd.h",
        "sgd->mantissa = (int32_t)(",
        "sgd->random = update->index; sgd->mantissa = (int32_t)(",
    ),
    "the last equal tap wins": (
        "test_max_pool2d",
        "tt_max_pool2d.c",
        "element[c] > y[c]",
        "element[c] >= y[c]",
    ),
    "the end of a clamp passes": (
        "test_grad_clamp",
        "tt_clamp_grad.inc.h",
        "lo < y[i] &&",
        "lo <= y[i] &&",
    ),
    "dilation ignored between columns": (
        "test_conv2d",
        "tt_window.h",
        "const size_t iw = (size_t)(columns.start + (int32_t)(kw * window->dilation_w));",
        "const size_t iw = (size_t)(columns.start + (int32_t)kw);",
    ),
    "a tile ends a position early": (
        "test_conv2d",
        "tt_tile.c",
        "sums[3] = (bias == NULL ? sums[3] : *bias) + sum3;",
        "sums[3] = (bias == NULL ? sums[3] : *bias);",
    ),
    "neighbours in a strip mixed up": (
        "test_depthwise_conv2d",
        "tt_strip.c",
        "to.p3 + weight * x[3 * stride]",
        "to.p3 + weight * x[2 * stride]",
    ),
    "short updates rounded down": (
        "test_conv2d_grad_weight",
        "tt_sgd.h",
        "(int32_t)(r >> (64 - sgd->shift))) >> (sgd->shift - 32);",
        "(int32_t)(r >> 31)) >> (sgd->shift - 32);",
    ),
    "peak of the last call only": (
        "test_depthwise_conv2d_grad_input",
        "tt_gradient.h",
        "output->exponent - input_exponent, output->peak}",
        "output->exponent - input_exponent, 0}",
    ),
    "random numbers of a slice from the start": (
        "test_slices_of_weights",
        "tt_sgd.h",
        "sgd.random = sgd.random * jump.factor + jump.step;",
        "(void)jump;",
    ),
    "every slice halves the counters": (
        "test_slices_of_biases",
        "tt_sgd.h",
        "update->first == 0 && sgd.health->seen",
        "sgd.health->seen",
    ),
    "a slice overwrites the sums": (
        "test_slices_of_the_outputs",
        "tt_conv2d_grad.inc.h",
        "call->slices[place + p * step] +=",
        "call->slices[place + p * step] =",
    ),
    "rows of a slice follow each other": (
        "test_slices_of_the_inputs",
        "tt_conv2d_grad.inc.h",
        "tt_row_step(&call->segments[s])",
        "columns",
    ),
}


FLAGS = ("gcc", "-O0", "-w")


@pytest.mark.parametrize("mistake", MISTAKES)
def test_is_found(mistake: str, tmp_path: Path) -> None:
    finder, file, right, wrong = MISTAKES[mistake]

    def plant(name: str, text: str) -> str:
        if name != file:
            return text
        # However the lines are broken.
        pattern = r"\s+".join(map(re.escape, right.split()))
        text, times = re.subn(pattern, lambda _: wrong, text)
        assert times == 1, f"{right!r} stands {times} times in {name}"
        return text

    library = build(tmp_path, *FLAGS, change=plant)
    done = run_kernel_tests(library, "-k", finder)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "AssertionError" in done.stdout
