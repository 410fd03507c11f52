"""Instructions of a training step and of its kernels, on every core; `make bench-speed` runs it.

    .venv/bin/python -m bench.speed [--cores NAME...] [--layers] [--json FILE]

Counts are exact and the same in every run: docs/speed.md says how they are made. The step needs
`../shared/models`, CMSIS-NN's column the package that `bench/cmsis_nn.py` names; without them the
rest is printed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from bench import published
from bench.cmsis_nn import INSTALL, find_cmsis_nn
from bench.kernels import KINDS, LAYERS, Count, count_kernels
from bench.nodes import PARTS
from bench.training_step import StepProfile, Work, check_sums, profile_step
from tinytrain.errors import TinytrainError
from tinytrain.target import load_target

ROOT = Path(__file__).resolve().parent.parent
MODEL = ROOT.parent / "shared" / "models" / "mcunet-5fps-int8.onnx"
SCHEME = ROOT / "examples" / "schemes" / "mcunet-5fps-49kb.toml"
CORES = ("mps2-an500", "mps2-an386", "mps2-an505", "mps3-an547", "mps2-an385", "m0")
KERNEL_CORES = ("mps2-an500", "mps3-an547")
"""Cores of the table of kernels: those that others have been counted on."""

WIDTH = 112
"""Of the tables at least, in characters."""

console = Console() if Console().width >= WIDTH else Console(width=WIDTH)


def main() -> int:
    """Print the tables; 2 if the model is not there."""
    options = _options()
    try:
        return _run(options)
    except TinytrainError as error:
        print(error, file=sys.stderr)
        return error.exit_code


def _run(options: argparse.Namespace) -> int:
    result: dict[str, Any] = {}
    steps = []
    if MODEL.exists():
        steps = [_step(core) for core in options.cores]
        _show_steps(steps)
        for profile in steps if options.layers else ():
            _show_layers(profile)
        _show_code(steps)
        _show_cycles(steps)
        result["steps"] = [_step_record(profile) for profile in steps]
    else:
        print(f"no training step: {MODEL.name} is not in ../shared/models", file=sys.stderr)
    counts = {core: _kernels(core) for core in KERNEL_CORES if core in options.cores}
    for core, found in counts.items():
        _show_kernels(core, found)
    result["kernels"] = {core: list(map(_count_record, found)) for core, found in counts.items()}
    result["published"] = {"step": published.TTE_STEP, "per mac": published.PER_MAC}
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 0 if steps else 2


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="instructions of a training step and its kernels")
    parser.add_argument("--cores", nargs="+", choices=CORES, default=CORES, metavar="NAME")
    parser.add_argument("--layers", action="store_true", help="print a line for each layer too")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures here")
    return parser.parse_args()


def _step(core: str) -> StepProfile:
    def say(what: str) -> None:
        print(f"{core}: {what}", file=sys.stderr)

    with tempfile.TemporaryDirectory(prefix="tinytrain-") as place:
        profile = profile_step(MODEL, SCHEME, core, Path(place), progress=say, classes=10)
    check_sums(profile)
    return profile


def _kernels(core: str) -> list[Count]:
    print(f"{core}: kernels", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="tinytrain-") as place:
        return count_kernels(load_target(core), Path(place), find_cmsis_nn())


# ---- tables ----


def _table(title: str, columns: Sequence[str], texts: int = 1) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for number, column in enumerate(columns):
        is_text = number < texts
        table.add_column(column, justify="left" if is_text else "right", no_wrap=is_text)
    return table


def _millions(instructions: int) -> str:
    return f"{instructions / 1e6:,.2f}"


def _per_mac(work: Work) -> str:
    return f"{work.instructions / work.macs:.2f}" if work.macs else ""


def _show_steps(profiles: Sequence[StepProfile]) -> None:
    columns = ("core", "work", "instructions M", "per MAC", "floor M", "MACs M", "TTE M")
    table = _table(f"a training step: {published.STEP_MODEL}", columns, 2)
    for profile in profiles:
        theirs = published.TTE_STEP.get(profile.core, {})
        for part in (*PARTS, None):
            work = profile.total(part)
            floor = profile.floor(part)
            table.add_row(
                "" if part != PARTS[0] else f"{profile.core} ({profile.isa})",
                part or "step",
                _millions(work.instructions),
                _per_mac(work),
                _millions(floor) if floor else "",
                _millions(work.macs) if work.macs else "",
                _millions(theirs[part or "step"]) if (part or "step") in theirs else "",
                end_section=part is None,
            )
    console.print(table)
    console.print(
        "Floor: the instructions that multiply, each doing as many MACs as it can (MLA 1, SMLAD 2, "
        "VMLADAVA 16; M0 takes two for one), for the taps that meet the map; no load, no "
        "rounding, no loop. MACs count taps in the padding. `weight gradient` and `bias` hold "
        "the update.",
        style="dim",
    )
    for note in published.NOTES:
        console.print(note, style="dim")


def _show_layers(profile: StepProfile) -> None:
    columns = ("layer", "forward", "dX", "dW", "bias", "other", "per MAC", "dX", "dW", "kernels")
    table = _table(f"{profile.core}: thousands of instructions by layer", columns)
    table.columns[-1].justify = "left"
    for layer, parts in profile.layers.items():
        work = [parts.get(part, Work()) for part in PARTS]
        kernels = profile.kernels.get(layer, {}).values()
        table.add_row(
            layer,
            *(f"{one.instructions / 1e3:,.1f}" if one.instructions else "" for one in work),
            *(_per_mac(one) for one in work[:3]),
            " ".join(name.removeprefix("tt_") for name in kernels),
        )
    console.print(table)


def _show_code(profiles: Sequence[StepProfile]) -> None:
    cores = [profile.core.removeprefix("cortex-").upper() for profile in profiles]
    table = _table("bytes of code, by file of the runtime", ("file", *cores))
    by_file: list[Counter[str]] = []
    for profile in profiles:
        sums: Counter[str] = Counter()
        for name, size in profile.code.items():
            sums[name.split(":")[0]] += size
        by_file.append(sums)
    for file in sorted({name for sums in by_file for name in sums}):
        table.add_row(file, *(f"{sums[file]:,}" if sums[file] else "" for sums in by_file))
    table.add_section()
    for group in profiles[0].flash:
        table.add_row(f"the whole {group}", *(f"{p.flash[group]:,}" for p in profiles))
    console.print(table)


def _show_cycles(profiles: Sequence[StepProfile]) -> None:
    columns = ("core", "cycles M", "instructions per cycle", "ms at 100 MHz", "timings")
    table = _table("an estimate of cycles, not a measurement", columns)
    for profile in profiles:
        cycles, count = profile.cycles, profile.total().instructions
        table.add_row(
            profile.core,
            _range(cycles.low / 1e6, cycles.high / 1e6, 0),
            _range(count / cycles.high, count / cycles.low, 2),
            _range(cycles.low / 1e5, cycles.high / 1e5, 0),
            "Arm's manual" if cycles.published else "assumed",
        )
    console.print(table)
    anchor = published.TTE_MILLISECONDS * published.BOARD_MHZ * 1e3
    per_instruction = anchor / published.TTE_STEP["cortex-m7"]["step"]
    note = (
        "No wait states of flash and no cache misses are in it; bench/cycles.py has the "
        f"assumptions. An anchor for the M7: TTE published {published.TTE_MILLISECONDS} ms at "
        f"{published.BOARD_MHZ} MHz for this model; if that is the step counted here, a board took "
        f"{per_instruction:.2f} cycles an instruction, caches and flash included."
    )
    console.print(note, style="dim")


def _range(low: float, high: float, digits: int) -> str:
    least, most = f"{low:,.{digits}f}", f"{high:,.{digits}f}"
    return least if least == most else f"{least} to {most}"


SHORT = {"forward": "forward", "input gradient": "dX", "weight gradient": "dW, update"}


def _show_kernels(core: str, counts: Sequence[Count]) -> None:
    target = load_target(core)
    columns = ("layer", "work", "tinytrain", "by", "portable", "naive", "CMSIS-NN")
    columns += ("TTE", "CMSIS") if target.isa == "dsp" else ("", "CMSIS")
    title = f"{target.core}: instructions per MAC; the last two columns as published or counted"
    table = _table(title, columns, 2)
    table.columns[3].justify = "left"
    for layer in LAYERS:
        kinds = {kind: [] for kind in KINDS}
        for count in counts:
            if count.candidate.layer == layer:
                kinds[count.candidate.kind].append(count)
        for kind, found in kinds.items():
            if found:
                shown = layer if kind == KINDS[0] else ""
                table.add_row(shown, SHORT[kind], *_kernel_row(target.isa, layer, kind, found))
        table.add_section()
    console.print(table)
    if find_cmsis_nn() is None:
        console.print(f"CMSIS-NN is not installed: {INSTALL}", style="bold")
    else:
        note = (
            "CMSIS-NN, from its sources in the package `bakenn`, rounds once as we do: "
            "it gave the same bytes but where its count has a star."
        )
        console.print(note, style="dim")


def _kernel_row(isa: str, layer: str, kind: str, found: Sequence[Count]) -> list[str]:
    ours = [count for count in found if count.candidate.by == "tinytrain"]
    best = min(ours, key=lambda count: count.instructions)
    by = {count.candidate.by: count for count in found}
    theirs = by.get("CMSIS-NN")
    tte, m7, m55, tte_input, tte_weight = published.PER_MAC[layer]
    published_tte = {"forward": tte, "input gradient": tte_input, "weight gradient": tte_weight}
    contract = best.candidate.work.contract
    return [
        f"{best.per_mac:.3f}",
        best.candidate.function.removeprefix(contract).removeprefix("_") or "portable",
        f"{ours[0].per_mac:.2f}",
        f"{by['naive'].per_mac:.2f}",
        f"{theirs.per_mac:.3f}{'*' if theirs.different else ''}" if theirs else "",
        f"{published_tte[kind] or ''}" if isa == "dsp" else "",
        f"{(m55 if isa == 'mve' else m7) or ''}" if kind == "forward" else "",
    ]


# ---- records ----


def _step_record(profile: StepProfile) -> dict[str, Any]:
    return {
        "core": profile.core,
        "target": profile.target,
        "isa": profile.isa,
        "instructions": profile.total().instructions,
        "counter": profile.counter,
        "parts": {part: asdict(profile.total(part)) for part in PARTS},
        "floor": {part: profile.floor(part) for part in PARTS},
        "layers": {
            layer: {part: asdict(work) for part, work in parts.items()}
            for layer, parts in profile.layers.items()
        },
        "kernels": profile.kernels,
        "code": profile.code,
        "flash": profile.flash,
        "cycles": asdict(profile.cycles),
    }


def _count_record(count: Count) -> dict[str, Any]:
    candidate = count.candidate
    return {
        "layer": candidate.layer,
        "kind": candidate.kind,
        "by": candidate.by,
        "function": candidate.function,
        "instructions": count.instructions,
        "macs": candidate.work.macs,
        "different": count.different,
    }


if __name__ == "__main__":
    sys.exit(main())
