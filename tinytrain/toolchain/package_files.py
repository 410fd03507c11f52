"""What makes a folder of C a package: of CMake, Arduino, PlatformIO, Zephyr and ESP-IDF at once.

Whatever reads the folder finds its own file and leaves the others alone. What each file says
follows from a `Package`; docs/packages.md says how each is used.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tinytrain.kernel.constants import c_constant
from tinytrain.kernel.sources import release
from tinytrain.manifest.interface import ModelInterface
from tinytrain.target import ARITHMETIC_CFLAGS, COMMON_CFLAGS
from tinytrain.toolchain.template import render
from tinytrain.version import __version__

LICENCE = "MIT"
"""Of what tinytrain writes; a model's weights keep their own (docs/licences.md)."""

NOT_PACKED_FOLDERS = ("build", "origin", "port")
NOT_PACKED_FILES = ("Makefile", "manifest.json")
"""Parts of a generated folder that a package leaves out."""

_RUNTIME = ("src/tt_", "src/tinytrain.h")
"""What files of the runtime begin with; no model has such a name."""


@dataclass(frozen=True)
class PackagedModel:
    """One model of a package.

    Attributes:
        name: prefix of its C functions.
        sources: its own C files, by their path in the package.
        headers: its own headers that an application may include, likewise.
    """

    name: str
    sources: tuple[str, ...]
    headers: tuple[str, ...]

    @property
    def header(self) -> str:
        """What an application includes."""
        return f"{self.name}.h"


@dataclass(frozen=True)
class Package:
    """Models with one runtime.

    Attributes:
        name: of the package, a C identifier; that of the model where it is one.
        models: at least one.
        runtime: the runtime's C files that any of the models calls, by their path, sorted.
    """

    name: str
    models: tuple[PackagedModel, ...]
    runtime: tuple[str, ...]

    @classmethod
    def of(cls, name: str, models: Mapping[str, Iterable[str]]) -> Package:
        """A package of models.

        Args:
            models: for each model, by its name, the paths of the files of its folder.
        """
        runtime: set[str] = set()
        held = []
        for model, files in models.items():
            of_src = sorted(file for file in files if file.startswith("src/"))
            own = [file for file in of_src if not file.startswith(_RUNTIME)]
            sources = tuple(file for file in own if file.endswith(".c"))
            headers = tuple(
                file for file in own if file.endswith(".h") and not file.endswith("_constants.h")
            )
            held.append(PackagedModel(model, sources, headers))
            runtime |= {file for file in of_src if file.endswith(".c")} - set(sources)
        return cls(name, tuple(held), tuple(sorted(runtime)))

    @property
    def title(self) -> str:
        """What it is, in a line."""
        what = "a neural network" if len(self.models) == 1 else "neural networks"
        return f"{self.name}: {what} in C that can go on learning on the device"

    @property
    def paragraph(self) -> str:
        """Where it comes from, in a line."""
        names = ", ".join(model.name for model in self.models)
        return f"Written by tinytrain {__version__}: {names}, and the runtime that the code calls."


def cmake_lists(package: Package, *, program: Mapping[str, object] | None = None) -> str:
    """The text of CMakeLists.txt, for CMake alone, within ESP-IDF and within Zephyr.

    Args:
        program: what the template needs for the program of a generated folder; None builds none.
    """
    return _render(
        "CMakeLists.txt.j2",
        package,
        program=program,
        arithmetic=ARITHMETIC_CFLAGS,
        common=COMMON_CFLAGS,
    )


def package_files(package: Package) -> dict[str, str]:
    """The files of all ecosystems beside CMakeLists.txt, by their path."""
    files = {file: _render(template, package) for file, template in _TEMPLATES.items()}
    files["library.json"] = _library_json(package)
    for model in package.models:
        files[f"cmake/{model.name}-config.cmake"] = _render(
            "config.cmake.j2", package, model=model.name
        )
    return files


def header_files(headers: Iterable[str]) -> dict[str, str]:
    """Headers in `src` that lead to those in `include`: Arduino's builds look in `src` alone.

    The one of tinytrain.h also refuses a runtime, or another model, of another release.

    Args:
        headers: names of the files in `include`.
    """
    version = c_constant("tinytrain.h", "TINYTRAIN_RUNTIME_VERSION")
    return {
        f"src/{header}": render(
            "codegen",
            "package/header.h.j2",
            header=header,
            runtime_version=version,
            release=release(),
        )
        for header in headers
    }


def sketch_files(
    interface: ModelInterface, *, self_test: bool, link: bool = False
) -> dict[str, str]:
    """An Arduino sketch that calls the model; a sketch lies in a folder of its own name.

    Args:
        self_test: whether the model can test itself.
        link: whether there is a second one, which answers a host over the serial port.
    """
    name = f"{interface.name}_{'train' if interface.trains else 'infer'}"
    text = render("codegen", "package/sketch.ino.j2", interface=interface, self_test=self_test)
    found = {f"examples/{name}/{name}.ino": text}
    if link:
        name = f"{interface.name}_link"
        text = render("codegen", "package/link.ino.j2", name=interface.name)
        found[f"examples/{name}/{name}.ino"] = text
    return found


_TEMPLATES = {
    "idf_component.yml": "idf_component.yml.j2",
    "library.properties": "library.properties.j2",
    "zephyr/Kconfig": "Kconfig.j2",
    "zephyr/module.yml": "module.yml.j2",
}


def _library_json(package: Package) -> str:
    """PlatformIO's; flags of `build` reach the library's own sources and no others."""
    held = {
        "name": package.name,
        "version": __version__,
        "description": package.title,
        "keywords": ["machine-learning", "neural-network", "training"],
        "license": LICENCE,
        "frameworks": "*",
        "platforms": "*",
        "headers": [model.header for model in package.models],
        "build": {"srcDir": "src", "includeDir": "include", "flags": list(ARITHMETIC_CFLAGS)},
        "export": {"exclude": [*NOT_PACKED_FOLDERS, *NOT_PACKED_FILES]},
    }
    return json.dumps(held, indent=2) + "\n"


def _render(template: str, package: Package, **text: object) -> str:
    return render(
        "codegen",
        f"package/{template}",
        name=package.name,
        title=package.title,
        paragraph=package.paragraph,
        models=package.models,
        runtime=package.runtime,
        version=__version__,
        licence=LICENCE,
        release=release(),
        unpacked=[*(f"{folder}/**/*" for folder in NOT_PACKED_FOLDERS), *NOT_PACKED_FILES],
        **text,
    )
