"""Vector accesses have to be aligned to their elements: a core faults, QEMU does not.

A plugin of the emulator ends the run at the first that is not.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tinytrain.isa import INSTRUCTION_SETS


def alignment_plugin(program: Path) -> str:
    """The emulator's argument that checks a program; built and written beside it."""
    library, watched = program.parent / "alignment.so", program.parent / "watched.txt"
    source = Path(__file__).parent / "programs/alignment_plugin.c"
    flags = ("-std=gnu11", "-D_GNU_SOURCE", "-O2", "-shared", "-fPIC")
    subprocess.run(["cc", *flags, str(source), "-o", str(library)], check=True)
    flags = INSTRUCTION_SETS["mve"].objdump_flags
    listing = subprocess.run(
        ["arm-none-eabi-objdump", "-d", "--no-show-raw-insn", *flags, str(program)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    accesses = re.findall(
        r"^ *([0-9a-f]+):\tv(?:(?:ldr|str)([hwd])[te]?|(?:ld|st)[24][0-3])\.[suf]?(\d+)",
        listing,
        flags=re.MULTILINE,
    )
    sizes = {"h": 2, "w": 4, "d": 8}
    watched.write_text(
        "".join(f"{at} {sizes.get(kind, int(bits) // 8):x}\n" for at, kind, bits in accesses)
    )
    return f"{library},watch={watched}"
