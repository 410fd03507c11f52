"""Kernels for cores with DSP instructions, depthwise ones aside."""

from __future__ import annotations

from tinytrain.kernel.constants import c_constant
from tinytrain.kernel.kernel import Kernel, Variant, per_channel, per_element
from tinytrain.kernel.work import Work, spread

_LANES = c_constant("tt_dot8_dsp.h", "TT_LANES")
_TILE_QUADS = c_constant("tt_dot8_dsp.h", "TT_TILE_QUADS_DSP")
_JOINED = c_constant("tt_dot8_dsp.h", "TT_JOINED_DSP")
_PART_QUADS = c_constant("tt_dot8_dsp.h", "TT_PART_QUADS_DSP")
_INPUT_TILES = 20480  # bytes of tiles of an input gradient beyond which more make it little faster


def _quads(work: Work) -> int:
    return sum(spread(work.area * count, 4) for count in work.segments)


def _is_tiled(work: Work) -> bool:
    return _quads(work) <= _TILE_QUADS and work.out_h * work.out_w >= 6


def _joined(work: Work) -> int:
    """Bytes of a copy of weights that are in segments."""
    joined = 4 * _quads(work) * work.out_c
    if len(work.segments) == 1 or work.groups > 1 or joined > _JOINED:
        return 0
    return spread(joined, 8) * 8


def _conv2d_variant(work: Work, joined: int, tiled: bool) -> Variant:
    positions, quads = work.out_h * work.out_w, _quads(work)
    tiles, single = divmod(positions, _LANES)
    if single >= 6:
        tiles, single = tiles + 1, 0
    if not tiled:
        tiles, single = 0, positions
    # Rows in parts need sums in memory, and a loop for each part.
    apart = 0 if joined == _joined(work) else 20 * len(work.segments) + 120
    per_tile: float = work.groups * _LANES * (30 + 8 * quads)
    per_tile += work.out_c * (27.75 * quads + 50 + apart)
    per_single = work.groups * (60 + 8 * quads) + work.out_c * (9 * quads + 90)
    workspace = joined + quads * (8 * (_LANES if tiled else 1) + 4) + 4
    return Variant(workspace, tiles * per_tile + single * per_single)


def _conv2d_workspace(work: Work) -> int:
    return _conv2d_variant(work, _joined(work), _is_tiled(work)).workspace


def _conv2d_cost(work: Work) -> float:
    return _conv2d_variant(work, _joined(work), _is_tiled(work)).cost


def _conv2d_narrow(work: Work) -> list[Variant]:
    """Segments apart; then position by position."""
    found = [_conv2d_variant(work, 0, _is_tiled(work))] if _joined(work) > 0 else []
    return found + ([_conv2d_variant(work, 0, False)] if _is_tiled(work) else [])


def _input_quads(work: Work) -> int:
    """Quads of a lane."""
    return work.area * spread(work.out_c // work.groups, 4)


def _input_tiles(work: Work) -> int:
    """Tiles that the workspace holds at once where it is not narrow; 0: positions go one by one.

    No more than the passes over the weights need, which are as few as it allows.
    """
    positions = work.in_h * work.in_w
    fitting = _INPUT_TILES // (64 * _input_quads(work)) if positions >= 3 else 0
    wanted = spread(positions, _LANES)
    return spread(wanted, spread(wanted, min(fitting, wanted))) if fitting > 0 else 0


def _grad_input_variant(work: Work, tiles: int) -> Variant:
    quads, positions = _input_quads(work), work.in_h * work.in_w
    workspace = quads * (64 * tiles or 8) + 32 * quads + 32 * max(tiles, 1)
    cost: float = positions * work.groups * (20 * work.area + 19 * quads)
    if tiles == 0:
        return Variant(workspace, cost + positions * work.in_c * (23 * quads + 145))
    cost += spread(positions, 8 * tiles) * work.in_c * (11 * quads + 60)
    cost += spread(positions, 8) * work.in_c * (25.75 * quads + 15 + 8 * 17)
    return Variant(workspace, cost)


def _grad_input_workspace(work: Work) -> int:
    return _grad_input_variant(work, _input_tiles(work)).workspace


def _grad_input_cost(work: Work) -> float:
    return _grad_input_variant(work, _input_tiles(work)).cost


def _grad_input_narrow(work: Work) -> list[Variant]:
    """For each number of passes over the weights the least tiles; then parts of one; then none."""
    most, wanted = _input_tiles(work), spread(work.in_h * work.in_w, _LANES)
    counts = {spread(wanted, spread(wanted, tiles)) for tiles in range(1, most + 1)}
    found = [_grad_input_variant(work, tiles) for tiles in sorted(counts, reverse=True)]
    if work.in_h * work.in_w >= 3:
        found += [_parts_variant(work, parts) for parts in (2, 3, 4, 6, 8, 12)]
        found.append(_grad_input_variant(work, 0))
    # Whatever takes more workspace than one that is faster is of no use.
    useful: list[Variant] = []
    for variant in sorted(found, key=lambda variant: variant.cost):
        least = useful[-1].workspace if useful else _grad_input_workspace(work)
        if variant.workspace < least:
            useful.append(variant)
    return useful


def _parts_variant(work: Work, parts: int) -> Variant:
    """A tile of which the workspace holds so many parts one after another."""
    outputs = spread(work.out_c // work.groups, 4)
    taken = max(spread(outputs, parts), spread(_PART_QUADS, work.area))
    parts = spread(outputs, taken)
    tiles, columns = spread(work.in_h * work.in_w, _LANES), work.in_c // work.groups
    workspace = 96 * taken * work.area + 32 + 32 * columns
    whole = _grad_input_variant(work, 1).cost
    return Variant(workspace, whole + tiles * work.in_c * parts * 150)


def _grad_weight_workspace(work: Work) -> int:
    if work.out_h * work.out_w == 1:
        return 0
    quads, tiles = spread(work.out_h * work.out_w, 4), spread(work.in_c // work.groups, _LANES)
    return tiles * (64 * quads + 32) + 8 * quads


def _grad_weight_cost(work: Work) -> float:
    positions, channels = work.out_h * work.out_w, work.in_c // work.groups
    quads = spread(positions, 4)
    update = 11 if work.fraction_bits == 4 else 45
    if positions == 1:
        row = 90 + 100 * spread(channels, 32) + 6.5 * channels
        return work.area * work.out_c * (row + update * channels)
    fill = work.area * work.groups * quads * (140 + 70 * spread(channels, 4))
    # Sixteen positions of an even number of channels have sums of their own kind.
    if quads == 4 and channels % 2 == 0:
        sums = 48 * spread(channels, 4)
    else:
        sums = spread(channels, _LANES) * (26 * quads + 9)
    uneven = 50 * (channels % 4) if update == 11 else 0
    return fill + work.area * work.out_c * (210 + 13 * quads + sums + update * channels + uneven)


_LARGEST_SUMS = 32768
"""Workspace of a weight gradient beyond which the portable kernel serves, in bytes."""

DSP = (
    Kernel(
        "tt_conv2d_s8",
        "dsp",
        "tt_conv2d_dsp.c",
        _conv2d_cost,
        _conv2d_workspace,
        narrow=_conv2d_narrow,
    ),
    Kernel(
        "tt_conv2d_s8_s32",
        "dsp",
        "tt_conv2d_dsp.c",
        _conv2d_cost,
        _conv2d_workspace,
        narrow=_conv2d_narrow,
    ),
    Kernel(
        "tt_conv2d_s8_grad_input",
        "dsp",
        "tt_conv2d_grad_input_dsp.c",
        _grad_input_cost,
        _grad_input_workspace,
        narrow=_grad_input_narrow,
    ),
    Kernel(
        "tt_conv2d_s8_grad_weight",
        "dsp",
        "tt_conv2d_grad_weight_dsp.c",
        _grad_weight_cost,
        _grad_weight_workspace,
        lambda work: _grad_weight_workspace(work) <= _LARGEST_SUMS,
        limits=f"at most {_LARGEST_SUMS} bytes of workspace",
    ),
    Kernel("tt_add_s8", "dsp", "tt_add_dsp.c", per_element(8.6)),
    Kernel("tt_clamp_mask_s8", "dsp", "tt_clamp_dsp.c", per_element(1.8)),
    Kernel("tt_grad_clamp_s8", "dsp", "tt_clamp_dsp.c", per_element(1.9)),
    Kernel("tt_grad_clamp_mask_s8", "dsp", "tt_clamp_dsp.c", per_element(1.9)),
    Kernel("tt_grad_add_s8", "dsp", "tt_grad_add_dsp.c", per_element(14.3)),
    Kernel("tt_bias_s8_grad", "dsp", "tt_bias_dsp.c", per_channel(1)),
)
"""One row for each."""
