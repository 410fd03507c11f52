"""The ways to package models: a row for each, with what its archive holds and is called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tinytrain.packages.archive import tar_gz, zip_file
from tinytrain.packages.pdsc import pdsc
from tinytrain.toolchain.package_files import Package, cmake_lists, package_files


@dataclass(frozen=True)
class PackagingWay:
    """One way to package models.

    Attributes:
        name: on the command line.
        usual: the archive's usual name, of the package's {name} and {version}.
        suffix: that every name of it must have.
        archive: makes its bytes of files by their path.
        rooted: whether the files lie in a folder that is called like the package.
        own: what the ecosystem reads: beginnings of paths among those of `package_files`.
        examples: whether the Arduino sketches go with it.
        described: whether a .pdsc file lists what is in it.
        use: what one does with it, in a line for the docs and the terminal.
    """

    name: str
    usual: str
    suffix: str
    archive: Callable[[Mapping[str, bytes]], bytes]
    rooted: bool
    own: tuple[str, ...]
    examples: bool
    use: str
    described: bool = False

    def files(self, package: Package, sources: Mapping[str, bytes]) -> dict[str, bytes]:
        """What the archive holds, by path.

        Args:
            package: what is packaged.
            sources: `src`, `include` and `examples` of all models.
        """
        held = {
            path: data
            for path, data in sources.items()
            if self.examples or not path.startswith("examples/")
        }
        every = {**package_files(package), "CMakeLists.txt": cmake_lists(package)}
        held |= {path: text.encode() for path, text in every.items() if path.startswith(self.own)}
        held["README.md"] = _readme(package, self).encode()
        if self.described:
            held[f"tinytrain.{package.name}.pdsc"] = pdsc(package, sorted(held)).encode()
        return (
            {f"{package.name}/{path}": data for path, data in held.items()} if self.rooted else held
        )


def _readme(package: Package, way: PackagingWay) -> str:
    calls = "".join(f'- `{model.name}`: `#include "{model.header}"`\n' for model in package.models)
    return f"# {package.name}\n\n{package.title}. {package.paragraph}\n\n{calls}\n{way.use}.\n"


WAYS = (
    PackagingWay(
        name="arduino",
        usual="{name}-{version}.zip",
        suffix=".zip",
        archive=zip_file,
        rooted=True,
        own=("library.properties",),
        examples=True,
        use="Sketch > Include Library > Add .ZIP Library..., or "
        "`arduino-cli lib install --zip-path FILE`",
    ),
    PackagingWay(
        name="platformio",
        usual="{name}-{version}.tar.gz",
        suffix=".tar.gz",
        archive=tar_gz,
        rooted=False,
        own=("library.json",),
        examples=True,
        use="`pio pkg install --library file://FILE`",
    ),
    PackagingWay(
        name="zephyr",
        usual="{name}-{version}-zephyr.tar.gz",
        suffix=".tar.gz",
        archive=tar_gz,
        rooted=True,
        own=("CMakeLists.txt", "zephyr/"),
        examples=False,
        use="unpack it, and `west build -- -DZEPHYR_EXTRA_MODULES=/path/to/folder`",
    ),
    PackagingWay(
        name="esp-idf",
        usual="{name}_{version}.tgz",
        suffix=".tgz",
        archive=tar_gz,
        rooted=False,
        own=("CMakeLists.txt", "idf_component.yml"),
        examples=False,
        use="unpack it into a folder of the project's `components`",
    ),
    PackagingWay(
        name="cmsis-pack",
        usual="tinytrain.{name}.{version}.pack",
        suffix=".pack",
        archive=zip_file,
        rooted=False,
        own=(),
        examples=False,
        use="`cpackget add FILE`, or import it in Keil; the components are under Machine Learning",
        described=True,
    ),
    PackagingWay(
        name="cmake",
        usual="{name}-{version}-cmake.tar.gz",
        suffix=".tar.gz",
        archive=tar_gz,
        rooted=True,
        own=("CMakeLists.txt", "cmake/"),
        examples=False,
        use="`FetchContent_Declare(NAME URL FILE)`, or unpack it and `add_subdirectory`; any other "
        "build compiles its `src/*.c`",
    ),
)


def way_named(name: str) -> PackagingWay:
    """The row of a way."""
    (found,) = (way for way in WAYS if way.name == name)
    return found
