"""Where the sources of CMSIS-NN lie: the package `bakenn` carries them (Apache-2.0).

Nothing of it is part of tinytrain; the benchmark compiles it beside our kernels to count both in
the same run. `pip install 'tinytrain[bench]'` brings the package.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path

PACKAGE = "bakenn"
INSTALL = "pip install 'tinytrain[bench]'"

FLAGS = ("-std=gnu11", "-Ofast", "-DCMSIS_NN_USE_SINGLE_ROUNDING", "-w")
"""As CMSIS-NN's own build has them, and rounding once as our kernels do, which takes fewer
instructions than its default and gives the same bits."""


@dataclass(frozen=True)
class CmsisNN:
    """The sources of convolutions and what they need.

    Attributes:
        version: of the package that carries them.
        sources: C files.
        include_folders: for the compiler.
    """

    version: str
    sources: tuple[Path, ...]
    include_folders: tuple[Path, ...]


def find_cmsis_nn() -> CmsisNN | None:
    """The sources in the installed package, or None where it is not installed."""
    spec = util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return None
    vendor = Path(spec.submodule_search_locations[0]) / "backend" / "cmsis_nn" / "vendor"
    folder = vendor / "cmsis_nn"
    places = ("ConvolutionFunctions", "NNSupportFunctions")
    sources = [file for place in places for file in sorted(folder.glob(f"Source/{place}/*.c"))]
    if not sources:
        return None
    includes = (folder / "Include", vendor / "cmsis_core" / "Include")
    return CmsisNN(metadata.version(PACKAGE), tuple(sources), includes)
