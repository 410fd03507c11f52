"""What was learned under an older format or another scheme, in a file that a model loads."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from tinytrain.errors import DataError, UsageError, Where
from tinytrain.output_file import check_writable, write_file
from tinytrain.reference.schedule import step_rate
from tinytrain.saved_file import file_bytes
from tinytrain.saved_file_old import OldFile, read_old, write_saved
from tinytrain.simulation.device import host_library
from tinytrain.simulation.folder import GeneratedFolder, open_folder
from tinytrain.simulation.transfer import MigratedTensor, transferred

_COUNT = 4
"""Bytes of the step count, which ends the state."""


@dataclass(frozen=True)
class Migration:
    """What a migration took.

    Attributes:
        format: of the file that was read.
        is_whole: whether all of it was taken: the model is the one that saved it.
        tensors: weights and biases that the new model trains, and those that only the old one did.
        steps: training steps that the new file says were done.
        saved: the new file.
    """

    format: int
    is_whole: bool
    tensors: tuple[MigratedTensor, ...]
    steps: int
    saved: bytes

    @property
    def elements(self) -> int:
        """Weights and biases that were taken."""
        return sum(tensor.taken for tensor in self.tensors)

    def to_json(self) -> str:
        """All but the file itself."""
        figures = {
            "format": self.format,
            "is_whole": self.is_whole,
            "steps": self.steps,
            "taken": self.elements,
            "learned": sum(tensor.learned for tensor in self.tensors),
            "tensors": [asdict(tensor) for tensor in self.tensors],
        }
        return json.dumps(figures, indent=2)


def migrate(
    directory: str | Path,
    *,
    load: str | Path,
    old: str | Path | None = None,
    save: str | Path,
) -> Migration:
    """Takes from a saved file what fits a model, and writes a file that the model loads.

    From the same model all is taken, from a file of an older format too. From the same model file
    compiled with another scheme those weights and biases are taken that both train and whose
    integers mean the same; fractional bits come along where both keep as many. All else is as
    compiled: layers that only the new scheme trains, what the update rule keeps, guard, samples.

    Args:
        directory: folder that `compile` wrote, of the model that is to load the file.
        load: saved file to take from, of this or an older format.
        old: folder of the model that saved it; None for that of `directory`.
        save: file to write.

    Raises:
        UsageError: a folder is none, or the file cannot be written: `load` is never overwritten.
        ModelError: a folder was changed after it was written.
        DataError: the file is damaged, is of another model, or nothing of it fits; then nothing is
            written.
        ToolchainError: there is no C compiler.
    """
    check_writable(Path(save), load)
    folder = open_folder(directory)
    source = folder if old is None else open_folder(old)
    where = Where(str(load))
    found = read_old(file_bytes(load, "the saved parameters"), where)
    _check_models(found, source, folder, where, is_named=old is not None)
    if source.manifest.model_hash == folder.manifest.model_hash:
        result = _whole(found, folder, where)
    else:
        result = _fitting(found, source, folder, where)
    write_file(Path(save), result.saved)
    return result


def _check_models(
    found: OldFile,
    source: GeneratedFolder,
    folder: GeneratedFolder,
    where: Where,
    *,
    is_named: bool,
) -> None:
    if found.model_hash.hex() != source.manifest.model_hash:
        raise DataError(
            f"the saved parameters belong to another model than that in '{source.path}'",
            where=where,
            help="name the folder of the model that saved them"
            + ("" if is_named else " with --old"),
        )
    before, after = source.manifest.model, folder.manifest.model
    if before.sha256 != after.sha256:
        raise UsageError(
            f"'{source.path}' and '{folder.path}' were compiled from two model files, "
            f"'{before.file}' and '{after.file}', whose frozen layers may differ",
            help="compile the model file of the old folder with the new options",
        )


def _whole(found: OldFile, folder: GeneratedFolder, where: Where) -> Migration:
    """The same model: only the format may be an older one."""
    manifest = folder.manifest
    samples = 0 if manifest.replay is None else manifest.replay.samples_bytes
    written = write_saved(found, samples, _compiled_rate(folder))
    _prove(written, folder, where)
    tensors = transferred(manifest.parameters, manifest.parameters, found.weights, found.weights)[1]
    steps = int.from_bytes(found.state[-_COUNT:], "little")
    return Migration(found.format, True, tensors, steps, written)


def _fitting(
    found: OldFile, source: GeneratedFolder, folder: GeneratedFolder, where: Where
) -> Migration:
    """Another scheme: what fits, over the factory values of the new one."""
    factory = read_old(host_library(folder).save(), where)
    old, new = source.manifest, folder.manifest
    weights, tensors = transferred(
        old.parameters,
        new.parameters,
        found.weights,
        factory.weights,
        bits=_bits(source) if _bits(source) == _bits(folder) else 0,
    )
    if not any(tensor.taken for tensor in tensors):
        raise DataError(
            "nothing of it fits: the two schemes train nothing in common",
            where=where,
            help=f"`tinytrain inspect` shows what each trains; '{folder.path}' can only start anew",
        )
    written = write_saved(replace(factory, weights=weights), 0, _compiled_rate(folder))
    _prove(written, folder, where)
    return Migration(found.format, False, tensors, 0, written)


def _bits(folder: GeneratedFolder) -> int:
    bits = folder.manifest.options.get("fraction_bits")
    return bits if isinstance(bits, int) else 0


def _compiled_rate(folder: GeneratedFolder) -> float:
    window = folder.manifest.options.get("accumulate")
    return step_rate(folder.manifest.learning_rate, window if isinstance(window, int) else 1)


def _prove(written: bytes, folder: GeneratedFolder, where: Where) -> None:
    """The C that ships loads it."""
    try:
        host_library(folder).load(written)
    except DataError as error:
        raise DataError(f"the model refuses what was taken: {error.what}", where=where) from error
