"""The description of a CMSIS-Pack: a component for each model, one for their runtime."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tinytrain.toolchain.package_files import LICENCE, Package
from tinytrain.toolchain.template import render
from tinytrain.version import __version__


def pdsc(package: Package, files: Sequence[str]) -> str:
    """The text of the .pdsc file.

    Args:
        files: paths of all files of the pack beside it: each is listed once.
    """
    left = set(files)
    models = []
    for model in package.models:
        own = left & {*model.sources, *model.headers, f"src/{model.name}_constants.h"}
        left -= own
        models.append({"name": model.name, "files": _listed(own)})
    return render(
        "codegen",
        "package/pack.pdsc.j2",
        name=package.name,
        title=package.title,
        version=__version__,
        licence=LICENCE,
        models=models,
        runtime=_listed(left),
    )


def _listed(files: Iterable[str]) -> list[dict[str, str]]:
    """Files with what they are to whoever reads the pack."""
    categories = {".c": "source", ".h": "header"}
    return [
        {"name": file, "category": categories.get(file[file.rfind(".") :], "doc")}
        for file in sorted(files)
    ]
