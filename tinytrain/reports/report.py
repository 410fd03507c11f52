"""A report from a compiled folder to its page."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tinytrain.emit.folder import BUILD, REPORT
from tinytrain.manifest import Manifest, read_manifest
from tinytrain.manifest.arena import KernelRecord
from tinytrain.output_file import check_writable, write_file
from tinytrain.reports.page import report_page
from tinytrain.simulation.folder import open_folder


@dataclass(frozen=True)
class ReportPage:
    """A page that was written, and what is on it.

    Attributes:
        path: of the page.
        manifest: of the folder: the arena over time, layers, sums.
    """

    path: Path
    manifest: Manifest


def report(directory: str | Path, *, output: str | Path | None = None) -> ReportPage:
    """Writes a page on what a compiled model takes: the arena over time, layers, time.

    Args:
        directory: a folder that `compile_model` wrote.
        output: the page; None takes build/report.html in the folder.

    Raises:
        UsageError: the folder is none, or the page cannot be written.
        ModelError: the manifest is none of this version.
    """
    manifest = read_manifest(directory)
    page = Path(output or Path(directory, BUILD, REPORT))
    if not output:
        # In `build`, which belongs to nobody: `compile` replaces no folder that holds other files.
        with suppress(OSError):
            page.parent.mkdir(exist_ok=True)
    check_writable(page)
    write_file(page, report_page(manifest))
    return ReportPage(page, manifest)


def kernels(directory: str | Path) -> tuple[KernelRecord, ...]:
    """The kernels that a compiled model calls, in the order of a step.

    Args:
        directory: a folder that `compile_model` wrote.

    Returns:
        for each node that had a choice its kernel, its instructions and its workspace in bytes, as
        estimated, and the instructions of those that were considered.

    Raises:
        UsageError: the folder is none.
        ModelError: the folder was changed after it was written.
    """
    return open_folder(directory).manifest.kernels
