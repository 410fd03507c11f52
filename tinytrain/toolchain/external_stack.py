"""Worst-case stack of functions that come as machine code: gcc's helpers, the C library, assembly.

Bounds in bytes, callees included, over every core that tinytrain compiles for, rounded up to whole
doublewords. tests/targets/test_external_stack.py holds each against the pushes in the
libraries' machine code.
"""

from __future__ import annotations

import re

_BOUNDS: dict[str, int] = {
    # Memory and text, newlib-nano.
    "memcmp": 16,
    "memcpy": 32,
    "memmove": 32,
    "memset": 32,
    "strlen": 16,
    # Integers.
    "__aeabi_idiv": 24,
    "__aeabi_idivmod": 24,
    "__aeabi_lasr": 0,
    "__aeabi_ldivmod": 112,
    "__aeabi_llsl": 0,
    "__aeabi_llsr": 0,
    "__aeabi_lmul": 32,
    "__aeabi_uidiv": 24,
    "__aeabi_uidivmod": 24,
    "__aeabi_uldivmod": 96,
    "__clzdi2": 16,
    "__clzsi2": 8,
    "__ctzsi2": 16,
    "__popcountsi2": 8,
    # Single precision without a float unit, and its conversions to and from 64 bits.
    "__aeabi_f2iz": 8,
    "__aeabi_f2lz": 104,
    "__aeabi_f2uiz": 32,
    "__aeabi_f2ulz": 96,
    "__aeabi_fadd": 32,
    "__aeabi_fcmpeq": 64,
    "__aeabi_fcmpge": 40,
    "__aeabi_fcmpgt": 40,
    "__aeabi_fcmple": 48,
    "__aeabi_fcmplt": 56,
    "__aeabi_fcmpun": 8,
    "__aeabi_fdiv": 40,
    "__aeabi_fmul": 40,
    "__aeabi_fsub": 40,
    "__aeabi_i2f": 24,
    "__aeabi_l2f": 96,
    "__aeabi_ui2f": 24,
    "__aeabi_ul2f": 96,
    # Double precision.
    "__aeabi_d2f": 32,
    "__aeabi_d2iz": 24,
    "__aeabi_d2lz": 112,
    "__aeabi_d2uiz": 80,
    "__aeabi_d2ulz": 96,
    "__aeabi_dadd": 72,
    "__aeabi_dcmpeq": 56,
    "__aeabi_dcmpge": 64,
    "__aeabi_dcmpgt": 64,
    "__aeabi_dcmple": 72,
    "__aeabi_dcmplt": 80,
    "__aeabi_dcmpun": 24,
    "__aeabi_ddiv": 80,
    "__aeabi_dmul": 80,
    "__aeabi_dsub": 72,
    "__aeabi_f2d": 72,
    "__aeabi_i2d": 72,
    "__aeabi_l2d": 96,
    "__aeabi_ui2d": 72,
    "__aeabi_ul2d": 96,
    # The same by the names that RISC-V calls them by; Arm's library has most of these names, too.
    "__divdi3": 48,
    "__udivdi3": 56,
    "__moddi3": 56,
    "__umoddi3": 40,
    "__ashldi3": 0,
    "__lshrdi3": 0,
    "__ashrdi3": 0,
    "__muldi3": 32,
    "__ctzdi2": 8,
    "__addsf3": 16,
    "__subsf3": 16,
    "__mulsf3": 32,
    "__divsf3": 48,
    "__eqsf2": 24,
    "__nesf2": 24,
    "__gesf2": 24,
    "__gtsf2": 24,
    "__lesf2": 24,
    "__ltsf2": 24,
    "__unordsf2": 0,
    "__fixsfsi": 0,
    "__fixunssfsi": 32,
    "__fixsfdi": 96,
    "__fixunssfdi": 88,
    "__floatsisf": 16,
    "__floatunsisf": 16,
    "__floatdisf": 88,
    "__floatundisf": 80,
    "__adddf3": 72,
    "__subdf3": 72,
    "__muldf3": 48,
    "__divdf3": 48,
    "__eqdf2": 40,
    "__nedf2": 40,
    "__gedf2": 48,
    "__gtdf2": 48,
    "__ledf2": 48,
    "__ltdf2": 48,
    "__unorddf2": 0,
    "__fixdfsi": 0,
    "__fixunsdfsi": 72,
    "__fixdfdi": 104,
    "__fixunsdfdi": 88,
    "__floatsidf": 72,
    "__floatunsidf": 72,
    "__floatdidf": 80,
    "__floatundidf": 80,
    "__extendsfdf2": 72,
    "__truncdfsf2": 0,
    "__divsi3": 8,
    "__mulsi3": 0,
    # The runtime's own assembly: sources that include tt_assembly_dsp.h.
    "tt_dot8_quads_dsp": 48,
    "tt_map4_3x3_dsp": 40,
    "tt_map4_5x5_dsp": 56,
    "tt_planes_centre_dsp": 56,
    "tt_planes_scale_dsp": 56,
    "tt_rows8_dsp": 48,
    "tt_rows_3x3_stride1_dsp": 80,
    "tt_rows_3x3_stride2_dsp": 80,
    "tt_rows_5_stride1_dsp": 72,
    "tt_rows_6_stride2_dsp": 72,
    "tt_rows_7_stride1_dsp": 72,
    "tt_rows_8_stride2_dsp": 72,
    "tt_rows_requantize_dsp": 56,
    "tt_rows_round_dsp": 56,
    "tt_sums8_dsp": 56,
    "tt_sums16_dsp": 40,
    "tt_update_quads_dsp": 40,
}

EXTERNALS = tuple(_BOUNDS)
"""The functions whose bounds are known."""

HOST_BOUND = 8192
"""Stated, not derived: what any function of the host's C library is taken to use. The host has no
budget of stack; the figure only has to be of the right order there."""

# memset_s and the like would not match: only a builtin's or a libgcc alias's own spelling does.
_ALIAS = re.compile(r"^__builtin_(?P<name>mem\w+|strlen)$")


def external_bound(name: str, *, host: bool) -> int | None:
    """Bytes of stack that an external function uses at most, callees included.

    Args:
        name: as the call graph names it.
        host: whether the program runs on this machine.

    Returns:
        None where no bound is known.
    """
    if host:
        return HOST_BOUND
    alias = _ALIAS.match(name)
    return _BOUNDS.get(alias["name"] if alias else name)
