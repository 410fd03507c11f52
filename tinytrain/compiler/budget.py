"""RAM and flash with everything counted, and what to say when they do not fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from tinytrain.compiler.compiled import Compiled
from tinytrain.compiler.fitting import what_fits
from tinytrain.compiler.rehearsal import slots_that_fit
from tinytrain.emit.enrol import Enrol
from tinytrain.emit.model_files import ModelFiles
from tinytrain.emit.replay import Replay
from tinytrain.errors import BudgetError
from tinytrain.target import Region, Target
from tinytrain.toolchain.build import build
from tinytrain.toolchain.footprint import call_graph, footprint
from tinytrain.toolchain.stack import INDIRECT

_CALLBACKS = ("read_file", "write_file")
_STORE_CALLBACKS = (*_CALLBACKS, "rewind_file")
_SLOT_CALLBACKS = ("read_slot", "write_slot")
_MEASURE_BYTES = 128 * 1024 * 1024


UNITS = {"ram": "bytes of RAM", "flash": "bytes of flash", "instructions": "instructions a step"}
"""What is limited, by the field of `Budget`."""


class Taken(Protocol):
    """What something takes, by the fields of `Budget`."""

    @property
    def ram(self) -> int:
        """Bytes."""

    @property
    def flash(self) -> int:
        """Bytes."""

    @property
    def instructions(self) -> int:
        """Of a step."""


@dataclass(frozen=True)
class Budget:
    """What a model may take, everything counted.

    Attributes:
        ram, flash: bytes.
        instructions: of a training step, as estimated; None is no limit.
    """

    ram: int
    flash: int
    instructions: int | None = None

    def hold(self, taken: Taken) -> bool:
        """Whether it fits."""
        return not self.exceeded(taken)

    def exceeded(self, taken: Taken) -> tuple[str, ...]:
        """Of `UNITS`, those of which it takes too much."""
        most = {name: getattr(self, name) for name in UNITS}
        return tuple(
            name for name in UNITS if most[name] is not None and getattr(taken, name) > most[name]
        )


@dataclass(frozen=True)
class MemoryUse:
    """Bytes by use; `total` is their sum.

    RAM: `arena` (activations, gradients, workspace), `concurrent arena` (of a forward pass between
    portions), `trained parameters`, `replay buffer`, `guard`, `enrolled classes`, `followed
    channels` and `what is normal` (each but the arena and the parameters where there is one),
    `other state` (scales, generator, rate, and the main program's own), `stack` (worst case by the
    compiler's call graph, interrupts included). Flash: `code`, `constants` (weights, tables,
    initial values), `rehearsal set` (where there is one), `initialised data`.
    """

    ram: Mapping[str, int]
    flash: Mapping[str, int]
    stack_path: str


def measure_memory(
    directory: Path, target: Target, compiled: Compiled, files: ModelFiles
) -> MemoryUse:
    """Builds the folder for its target and reads what it needs.

    Raises:
        ToolchainError: the compiler is missing, or cannot say what the stack needs.
        BudgetError: not even 128 MiB would hold it.
    """
    program = build(directory, _roomy(target), name=compiled.graph.name, variant="measure")
    graph = call_graph(program)
    # The only pointers that the sources call through are callbacks, of save and load or of slots.
    callbacks = _STORE_CALLBACKS if files.guard else _CALLBACKS
    indirect = {
        title: _SLOT_CALLBACKS if "tt_replay_flash_" in title else callbacks
        for title, callees in graph.calls.items()
        if INDIRECT in callees
    }
    found = footprint(program, target, indirect=indirect)
    arena, trained = compiled.plan.nbytes, files.weights_bytes
    parts = {
        "concurrent arena": files.concurrent,
        "replay buffer": files.replay,
        "guard": files.guard,
        "enrolled classes": files.enrol,
        "followed channels": files.following,
        "what is normal": files.anomaly,
    }
    known = {use: part.ram_bytes for use, part in parts.items() if part}
    ram = {
        "arena": arena,
        "trained parameters": trained,
        **known,
        "other state": found.sizes.ram - arena - trained - sum(known.values()),
        "stack": found.stack_bytes,
    }
    held = files.rehearsal.nbytes if files.rehearsal else 0
    flash = {
        "code": found.sizes.text,
        "constants": found.sizes.rodata - held,
        **({"rehearsal set": held} if held else {}),
        "initialised data": found.sizes.data,
    }
    return MemoryUse(
        {**ram, "total": sum(ram.values())},
        {**flash, "total": sum(flash.values())},
        " > ".join(name for name, _ in found.stack.path),
    )


def _roomy(target: Target) -> Target:
    """The target with regions as large as the address map allows.

    What does not fit is to be measured too, so that the error can say by how much and why.
    """
    if target.memory is None:
        return target
    regions = [*target.memory.regions.values()]

    def widened(region: Region) -> Region:
        above = [other.origin for other in regions if other.origin > region.origin]
        room = min([*above, region.origin + _MEASURE_BYTES]) - region.origin
        return Region(region.origin, max(region.length, room))

    memory = target.memory
    return replace(
        target, memory=replace(memory, flash=widened(memory.flash), ram=widened(memory.ram))
    )


def check_slots(compiled: Compiled, files: ModelFiles, budget: Budget, target: Target) -> None:
    """Refuses replay slots that no linker would place, so that they cannot be measured either.

    Raises:
        BudgetError: says how many could fit.
    """
    ram = budget.ram
    needed = compiled.plan.nbytes + files.weights_bytes
    needed += files.replay.ram_bytes if files.replay else 0
    needed += files.enrol.ram_bytes if files.enrol else 0
    if needed > max(ram, _MEASURE_BYTES // 2):
        raise BudgetError(
            f"{needed:,} bytes of RAM are needed for arena, trained parameters and replay slots "
            f"alone, {needed - ram:,} more than the {ram:,} of target '{target.name}'",
            help=_fewer_kept(needed - ram, files),
        )


def check_budget(
    memory: MemoryUse, compiled: Compiled, files: ModelFiles, budget: Budget, target: Target
) -> None:
    """Refuses what does not fit.

    Raises:
        BudgetError: says which tensors stand at the peak, and what would help.
    """
    ram, flash = budget.ram, budget.flash
    used = memory.ram["total"]
    if used > ram:
        besides = used - memory.ram["arena"] - memory.ram["trained parameters"]
        raise BudgetError(
            f"{used:,} bytes of RAM are needed in the smallest plan, {used - ram:,} more than the "
            f"{ram:,} of target '{target.name}'",
            detail="\n".join((_listing(memory.ram), _peak(compiled), *_unfinished(compiled))),
            help=_fewer_kept(used - ram, files) or what_fits(compiled, ram, besides),
        )
    used = memory.flash["total"]
    if used > flash:
        raise BudgetError(
            f"{used:,} bytes of flash are needed, {used - flash:,} more than the {flash:,} of "
            f"target '{target.name}'",
            detail=_listing(memory.flash),
            help=_fewer_rehearsed(used - flash, compiled)
            or "take a smaller model or a target with more flash",
        )
    steps, most = compiled.plan.cost, budget.instructions
    if most is not None and steps > most:
        raise BudgetError(
            f"{steps:,} instructions a step are estimated, {steps - most:,} more than the {most:,} "
            "that are asked for",
            help="train less: --scheme auto chooses what fits; or give more RAM, as a larger plan "
            "may be faster",
        )


def _listing(parts: Mapping[str, int]) -> str:
    return "\n".join(f"{size:>10,}  {name}" for name, size in parts.items() if name != "total")


def _unfinished(compiled: Compiled) -> tuple[str, ...]:
    ended = compiled.plan.unfinished
    if not ended:
        return ()
    searches = " and ".join(ended)
    return (f"the search for {searches} ended at its limit of work: a smaller plan may exist",)


def _peak(compiled: Compiled) -> str:
    plan = compiled.plan
    node = plan.graph.nodes[plan.peak]
    lines = [f"the arena peaks at '{node.name}' ({node.op}), where these are live:"]
    lines += [f"{s.nbytes:>10,}  {s.name}" for s in plan.at_peak()[:8]]
    return "\n".join(lines)


def _fewer_rehearsed(excess: int, compiled: Compiled) -> str | None:
    """What helps where the rehearsal set is what does not fit; None where it is not."""
    held = compiled.rehearsal
    fit = -1 if held is None else slots_that_fit(compiled, excess)
    if held is None or fit < 0:
        return None
    if fit >= max(len(held.labels), 1):
        return f"{fit:,} rehearsal slots fit (--rehearsal-slots {fit})"
    return "leave out the rehearsal set (--rehearsal-slots 0), or take a target with more flash"


def _fewer_kept(excess: int, files: ModelFiles) -> str | None:
    """What helps where samples that are kept are what does not fit; None where they are not."""
    return _fewer_slots(excess, files.replay) or _fewer_enrolled(excess, files.enrol)


def _fewer_enrolled(excess: int, enrol: Enrol | None) -> str | None:
    if enrol is None or enrol.ram_bytes < excess:
        return None
    # What follows them is aligned, to 32 bytes at most.
    fit = enrol.most_within(enrol.ram_bytes - excess - 31)
    if fit < 1:
        return "leave out --enrol"
    if enrol.slots:
        return f"{fit:,} samples fit (--enrol knn:{fit})"
    return f"{fit:,} classes fit (--enrol-classes {fit})"


def _fewer_slots(excess: int, replay: Replay | None) -> str | None:
    """What helps where the replay buffer is what does not fit; None where it is not."""
    if replay is None:
        return None
    # What follows the buffer is aligned, to 32 bytes at most.
    fit = replay.slots - -(-(excess + 31) // replay.ram_bytes_per_slot)
    if fit < 0:
        return None
    advice = f"{fit:,} replay slots fit (--replay {fit})" if fit else "leave out --replay"
    if not replay.in_flash:
        advice += f", or keep the {replay.slots:,} in flash (--replay-in flash)"
    return advice
