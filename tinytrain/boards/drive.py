"""Finds the drive that a board shows itself as while it waits for a UF2 file."""

from __future__ import annotations

import getpass
from collections.abc import Iterable
from pathlib import Path

from tinytrain.errors import UsageError

MARK = "INFO_UF2.TXT"
"""The file that every such drive holds (github.com/microsoft/uf2)."""


def uf2_drive(places: Iterable[Path] | None = None) -> str:
    """The folder of the one drive that waits for a UF2 file.

    Args:
        places: folders that drives are mounted in; None takes this system's own.

    Raises:
        UsageError: there is none, or several.
    """
    found = sorted(
        {
            str(mark.parent)
            for place in (_places() if places is None else places)
            for mark in place.glob(f"*/{MARK}")
        }
    )
    if len(found) == 1:
        return found[0]
    raise UsageError(
        "several drives wait for a UF2 file" if found else "no drive waits for a UF2 file",
        detail=", ".join(found) or None,
        help="name the drive: --port FOLDER"
        if found
        else "hold BOOTSEL while you plug the board in, mount the drive, and name its folder if it "
        "is an unusual one: --port FOLDER",
    )


def check_drive(place: Path) -> None:
    """Raises `UsageError` where no board shows itself as this folder: a file copied there would
    flash nothing."""
    if not (place / MARK).is_file():
        raise UsageError(
            f"no drive waits for a UF2 file at '{place}'"
            if place.is_dir()
            else f"there is no folder '{place}'",
            help=f"hold BOOTSEL while you plug the board in, mount the drive, and name the folder "
            f"that holds its {MARK}",
        )


def _places() -> list[Path]:
    user = getpass.getuser()
    return [Path(place) for place in (f"/media/{user}", f"/run/media/{user}", "/media", "/Volumes")]
