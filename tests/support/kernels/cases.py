"""Cases for kernels of an instruction set: one call each, within the contract of `tt_kernels.h`.

Operands are drawn by the firmware, from the case's seed.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from tests.support.kernels.windows import (
    DEPTHWISE_LAYERS,
    LAYERS,
    POOL_LAYERS,
    Rng,
    Window,
    arena_bytes,
    channel_count,
    conv_window,
    depthwise_window,
    edge_windows,
    pool_edges,
    pool_window,
)
from tests.support.kernels.workspace import fits, variant_count, works_in_place

ONE = Window()


@dataclass(frozen=True)
class Case:
    """One run of a kernel and of its portable twin.

    Attributes:
        kernel: name of the C function.
        seed: of the operands.
        fences: 0 none, 1 behind buffers, 2 before them.
        in_place: whether the kernel under test writes over its input; its twin never does.
        narrow: which of the kernel's variants runs, 0 with all the workspace that it can use.
        segments: channels of each segment of a group; for `conv2d` kernels.
        listed: whether even a complete segment, or all outputs, come with a list.
        count: listed outputs of a depthwise kernel; elements or channels of the simple ones.
        rows: positions of a bias gradient.
        fraction_bits: of trained weights.
    """

    kernel: str
    seed: int
    window: Window = ONE
    segments: tuple[int, ...] = ()
    listed: bool = False
    count: int = 0
    rows: int = 0
    fraction_bits: int = 0
    fences: int = 0
    in_place: bool = False
    narrow: int = 0

    def __str__(self) -> str:
        """As `parse_case` reads it."""
        shape = " ".join(
            f"{field.name}={value}"
            for field in fields(Window)
            if (value := getattr(self.window, field.name)) != field.default
        )
        rest = f"segments={','.join(map(str, self.segments)) or 0} listed={int(self.listed)}"
        counts = f"count={self.count} rows={self.rows} fraction_bits={self.fraction_bits}"
        fences = f"fences={self.fences} in_place={int(self.in_place)} narrow={self.narrow}"
        return " ".join([self.kernel, f"seed={self.seed}", *shape.split(), rest, counts, fences])


def parse_case(text: str) -> Case:
    """The case that `str` made the text from."""
    kernel, *words = text.split()
    pairs = dict(word.split("=") for word in words)
    shape = {field.name: int(pairs.pop(field.name, field.default)) for field in fields(Window)}
    segments = tuple(int(n) for n in pairs.pop("segments").split(",") if n != "0")
    numbers: dict[str, Any] = {name: int(value) for name, value in pairs.items()}
    flags = {name: bool(numbers.pop(name, 0)) for name in ("listed", "in_place")}
    return Case(kernel, window=Window(**shape), segments=segments, **flags, **numbers)


def packed(case: Case, kernel: int, workspace: int, portable_workspace: int) -> bytes:
    """The words of `test_case.h`."""
    window = [getattr(case.window, field.name) for field in fields(Window)]
    segments = (*case.segments, 0, 0, 0)[:3]
    words = [kernel, case.seed, case.fences, workspace, portable_workspace, *window, *segments]
    words += [int(case.listed), case.count, case.rows, case.fraction_bits, int(case.in_place)]
    return struct.pack("<28I", *words)


def _split(rng: Rng, channels: int) -> tuple[tuple[int, ...], bool]:
    """(channels of each segment, listed)."""
    parts = int(rng.choice([1, 1, 2, 2, 3]))
    if parts > channels:
        parts = 1
    cuts = sorted(rng.choice(np.arange(1, channels), parts - 1, replace=False).tolist())
    bounds = [0, *cuts, channels]
    counts = tuple(b - a for a, b in itertools.pairwise(bounds))
    return counts, bool(rng.integers(4) == 0)


def _conv(rng: Rng, case: Case, window: Window) -> Case:
    counts, listed = _split(rng, window.in_c // window.groups)
    case = replace(case, window=window, segments=counts, listed=listed)
    return replace(case, narrow=int(rng.integers(variant_count(case))))


def _trained(rng: Rng, case: Case, window: Window) -> Case:
    return replace(case, window=window, fraction_bits=int(rng.choice([0, 2, 4, 4, 8])))


def _depthwise(rng: Rng, case: Case, window: Window, multiple: int = 1) -> Case:
    runs = window.out_c // multiple
    count = multiple * (int(rng.integers(1, runs + 1)) if rng.integers(3) == 0 else runs)
    case = replace(case, window=window, count=count, listed=bool(rng.integers(4) == 0))
    return replace(case, in_place=works_in_place(case) and bool(rng.integers(4)))


def _depthwise_whole_inputs(rng: Rng, case: Case, window: Window) -> Case:
    return _depthwise(rng, case, window, window.out_c // window.in_c)


def _pool(rng: Rng, case: Case, window: Window) -> Case:
    return replace(case, window=window)


def _elements(rng: Rng, case: Case) -> Case:
    count = int(rng.choice([int(rng.integers(1, 40)), int(rng.integers(1, 1500))]))
    return replace(case, count=count)


def _bias(rng: Rng, case: Case) -> Case:
    return replace(
        case, count=channel_count(rng), rows=int(rng.choice([1, 16, rng.integers(1, 90)]))
    )


Windows = Callable[[Rng], Window]
Finish = Callable[[Rng, Case, Window], Case]

CONTRACTS_OF_WINDOWS: dict[str, tuple[Windows, Finish]] = {
    "conv2d_s8": (conv_window, _conv),
    "conv2d_s8_s32": (conv_window, _conv),
    "conv2d_s8_grad_input": (conv_window, _conv),
    "conv2d_s8_grad_weight": (conv_window, _trained),
    "depthwise_conv2d_s8": (depthwise_window, _depthwise),
    "depthwise_conv2d_s8_grad_input": (depthwise_window, _depthwise_whole_inputs),
    "depthwise_conv2d_s8_grad_weight": (depthwise_window, _trained),
    "avg_pool2d_s8_grad": (pool_window, _pool),
}
CONTRACTS_OF_ELEMENTS: dict[str, Callable[[Rng, Case], Case]] = {
    "add_s8": _elements,
    "bias_s8_grad": _bias,
    "clamp_mask_s8": _elements,
    "grad_add_s8": _elements,
    "grad_clamp_mask_s8": _elements,
    "grad_clamp_s8": _elements,
}
CONTRACTS = (*CONTRACTS_OF_WINDOWS, *CONTRACTS_OF_ELEMENTS)
"""Kernels of `tt_kernels.h` whose twins can be tested: each has a driver in test_kernels.c."""


def contract_of(kernel: str) -> str | None:
    """The contract that a kernel such as `tt_conv2d_s8_dsp` fulfils: the longest that fits."""
    fitting = [name for name in CONTRACTS if f"{kernel}_".startswith(f"tt_{name}_")]
    return max(fitting, key=len, default=None)


def _of_its_kind(
    contract: str, dense: Iterable[Window], depthwise: Iterable[Window], pools: Iterable[Window]
) -> Iterable[Window]:
    if "pool" in contract:
        return pools
    return depthwise if "depthwise" in contract else dense


def layer_cases(kernel: str, seed: int) -> Iterator[Case]:
    """Layers of a real network, as far as the kernel fits them."""
    contract = contract_of(kernel)
    if contract in CONTRACTS_OF_WINDOWS:
        rng = np.random.default_rng([seed, 2])
        finish = CONTRACTS_OF_WINDOWS[contract][1]
        windows = _of_its_kind(contract, LAYERS, DEPTHWISE_LAYERS, POOL_LAYERS)
        cases = (finish(rng, Case(kernel, seed + i), w) for i, w in enumerate(windows))
        yield from filter(fits, cases)


def edge_cases(kernel: str, seed: int) -> Iterator[Case]:
    """The shapes of `edge_windows` for one kernel, as far as it fits them; all with fences."""
    return filter(fits, _all_edge_cases(kernel, seed))


def _all_edge_cases(kernel: str, seed: int) -> Iterator[Case]:
    contract = contract_of(kernel)
    rng = np.random.default_rng([seed, 1])
    if contract not in CONTRACTS_OF_WINDOWS:
        sizes = (1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64)
        for number, count in enumerate(sizes):
            yield Case(kernel, seed + number, count=count, rows=1 + number % 5, fences=1)
        return
    finish = CONTRACTS_OF_WINDOWS[contract][1]
    edges = edge_windows(False), edge_windows(True), pool_edges()
    for number, window in enumerate(_of_its_kind(contract, *edges)):
        case = Case(kernel, seed + number, fences=1 + number % 2)
        yield finish(rng, case, window)


def random_cases(kernel: str, seed: int, count: int, most_macs: int = 60_000) -> Iterator[Case]:
    """Random cases of one kernel: the same for the same arguments.

    One in three has fences, which cost time: every access near them is checked.
    """
    contract = contract_of(kernel)
    assert contract is not None, kernel
    rng = np.random.default_rng([seed, *kernel.encode()])
    for _ in range(count):
        fences = int(rng.choice([0, 0, 0, 0, 1, 2]))
        case = Case(kernel, int(rng.integers(2**31)), fences=fences)
        if contract in CONTRACTS_OF_ELEMENTS:
            yield CONTRACTS_OF_ELEMENTS[contract](rng, case)
            continue
        draw, finish = CONTRACTS_OF_WINDOWS[contract]
        window = draw(rng)
        found = finish(rng, case, window)
        while window.macs > most_macs or arena_bytes(window) > 0x100000 or not fits(found):
            window = draw(rng)
            found = finish(rng, case, window)
        yield found
