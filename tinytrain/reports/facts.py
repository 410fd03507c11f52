"""The facts of a report, read from a manifest and checked: whatever draws them may rely on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tinytrain.errors import ModelError, Where
from tinytrain.plan.record import KINDS, PASSES
from tinytrain.reports.entry import Entry, MissingError
from tinytrain.simulation.folder import COMPILE_ANEW, read_manifest


@dataclass(frozen=True)
class Storage:
    """Bytes of the arena from step `first` to step `last`; `kind` is one of `record.KINDS`."""

    name: str
    kind: str
    layer: str
    nbytes: int
    offset: int
    first: int
    last: int


@dataclass(frozen=True)
class Step:
    """One node; `part` is one of `record.PASSES`, `instructions` None if there is no estimate."""

    name: str
    op: str
    layer: str
    part: str
    live_bytes: int
    instructions: int | None


@dataclass(frozen=True)
class Layer:
    """What one layer takes: RAM trained and saved, flash for constants, instructions a step."""

    name: str
    trained_bytes: int
    saved_bytes: int
    constant_bytes: int
    instructions: int


@dataclass(frozen=True)
class Way:
    """One way of saving memory: what it brought, and what it cost in instructions a step."""

    way: str
    detail: str
    saved_bytes: int
    instructions: int


@dataclass(frozen=True)
class Speed:
    """Of one step; ranges are (least, most), None where core or clock are not known."""

    core: str
    clock_hz: int | None
    instructions: int
    cycles_per_instruction: tuple[float, float] | None
    seconds: tuple[float, float] | None


@dataclass(frozen=True)
class Report:
    """A manifest as a report needs it.

    Attributes:
        name: of the model.
        version: of the tinytrain that compiled it.
        model_file: name of the model's file; None for a module.
        target, scheme: as they were asked for.
        ram, flash: bytes by use, the sum under "total".
        ram_budget, flash_budget: what the target has.
        arena_bytes, lower_bound: of the arena; the least that any placement could take.
        peak: index of the step where the lower bound is reached.
        alignment: storages begin at its multiples.
    """

    name: str
    version: str
    model_file: str | None
    target: str
    scheme: str
    ram: Mapping[str, int]
    flash: Mapping[str, int]
    ram_budget: int
    flash_budget: int
    arena_bytes: int
    lower_bound: int
    peak: int
    alignment: int
    storages: tuple[Storage, ...]
    steps: tuple[Step, ...]
    layers: tuple[Layer, ...]
    ways: tuple[Way, ...]
    speed: Speed

    @property
    def gap(self) -> int:
        """Bytes of the arena above its lower bound."""
        return self.arena_bytes - self.lower_bound

    def at_peak(self) -> list[Storage]:
        """Storages that are live at the peak, largest first."""
        live = [s for s in self.storages if s.first <= self.peak <= s.last]
        return sorted(live, key=lambda s: (-s.nbytes, s.name))

    def by_op(self) -> list[tuple[str, str, int, int]]:
        """(part, operation, steps, instructions) for what is estimated, most instructions first."""
        found: dict[tuple[str, str], list[int]] = {}
        for step in self.steps:
            if step.instructions is not None:
                sums = found.setdefault((step.part, step.op), [0, 0])
                sums[0] += 1
                sums[1] += step.instructions
        rows = [(part, op, count, cost) for (part, op), (count, cost) in found.items()]
        return sorted(rows, key=lambda row: (-row[3], row[0], row[1]))


def read_report(directory: str | Path) -> Report:
    """Reads the manifest of a folder that `tinytrain compile` wrote.

    Raises:
        UsageError: there is no such folder, or it holds no manifest.
        ModelError: the manifest cannot be read, lacks what a report needs, or contradicts itself.
    """
    manifest = read_manifest(directory)
    where = Where(str(Path(directory) / "manifest.json"))
    try:
        return _report(Entry(manifest, ""))
    except MissingError as missing:
        version = manifest.get("tinytrain")
        raise ModelError(
            f"the manifest has no {missing}, which a report needs: it was written by "
            f"{f'tinytrain {version}' if isinstance(version, str) else 'something else'}",
            where=where,
            help=COMPILE_ANEW,
        ) from None
    except ValueError as error:
        raise ModelError(
            f"the manifest has a wrong entry: {error}", where=where, help=COMPILE_ANEW
        ) from error


def _report(manifest: Entry) -> Report:
    arena = manifest["arena"]
    steps = tuple(_step(entry) for entry in arena["steps"].each())
    order = [PASSES.index(step.part) for step in steps]
    if not steps or order != sorted(order):
        raise ValueError("'arena.steps' are not a forward pass, a loss and a backward pass")
    nbytes = arena["bytes"].count()
    ways = arena["ways"].each() if "ways" in arena else []
    return Report(
        name=manifest["name"].text(),
        version=manifest["tinytrain"].text(),
        model_file=manifest["model"]["file"].optional_text(),
        target=manifest["target"].text(),
        scheme=manifest["options"]["scheme"].text(),
        ram=manifest["ram"].uses(),
        flash=manifest["flash"].uses(),
        ram_budget=manifest["budget"]["ram"].count(1),
        flash_budget=manifest["budget"]["flash"].count(1),
        arena_bytes=nbytes,
        lower_bound=arena["lower_bound"].count(below=nbytes + 1),
        peak=arena["peak_step"].count(below=len(steps)),
        alignment=arena["alignment"].count(1),
        storages=tuple(_storages(arena["storages"].each(), nbytes, len(steps))),
        steps=steps,
        layers=tuple(map(_layer, manifest["layers"].each())),
        ways=tuple(map(_way, ways)),
        speed=_speed(manifest["speed"]),
    )


def _storages(entries: Sequence[Entry], nbytes: int, steps: int) -> list[Storage]:
    found = []
    for entry in entries:
        first = entry["first"].count(below=steps)
        storage = Storage(
            name=entry["name"].text(),
            kind=entry["kind"].one_of(KINDS),
            layer=entry["layer"].text(),
            nbytes=entry["bytes"].count(),
            offset=entry["offset"].count(),
            first=first,
            last=entry["last"].count(first, steps),
        )
        if storage.offset + storage.nbytes > nbytes:
            raise ValueError(f"'{entry.path}' lies outside the arena of {nbytes:,} bytes")
        found.append(storage)
    return found


def _step(entry: Entry) -> Step:
    return Step(
        name=entry["name"].text(),
        op=entry["op"].text(),
        layer=entry["layer"].text(),
        part=entry["pass"].one_of(PASSES),
        live_bytes=entry["live_bytes"].count(),
        instructions=_optional(entry["instructions"], Entry.count),
    )


def _layer(entry: Entry) -> Layer:
    keys = ("trained_bytes", "saved_bytes", "constant_bytes", "instructions")
    return Layer(entry["name"].text(), **{key: entry[key].count() for key in keys})


def _way(entry: Entry) -> Way:
    # A way may be cheaper than none: both figures may be below 0.
    signed = [entry[key].count(least=-(1 << 53)) for key in ("saved_bytes", "instructions")]
    return Way(entry["way"].text(), entry["detail"].text(), *signed)


def _speed(entry: Entry) -> Speed:
    return Speed(
        core=entry["core"].text(),
        clock_hz=_optional(entry["clock_hz"], lambda clock: clock.count(1)),
        instructions=entry["instructions"].count(),
        cycles_per_instruction=entry["cycles_per_instruction"].span(),
        seconds=entry["seconds"].span(),
    )


def _optional(entry: Entry, read: Callable[[Entry], int]) -> int | None:
    return None if entry.held is None else read(entry)
