"""What a search writes: the scheme with where it comes from, and all that was tried."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tinytrain.compiler.budget import Budget, MemoryUse
from tinytrain.scheme.text import scheme_text
from tinytrain.searches.figure import RIGHT, Figure
from tinytrain.searches.front import Tried, gap_text, pareto
from tinytrain.searches.measured import Marks, TrialLength
from tinytrain.searches.store import finite
from tinytrain.version import __version__


@dataclass(frozen=True)
class Asked:
    """What a search was asked, for people and for its files.

    Attributes:
        command: that asks it again.
        name: of the model, a C identifier.
        model, data, eval: names of files with their SHA-256; eval None where there is none.
        target: its name.
        limits: of the scheme.
        learned, judged: samples.
        evaluated: samples that report; 0 where there are none.
        short, long: how candidates train.
        figure: that they are compared by.
    """

    command: str
    name: str
    model: tuple[str, str]
    data: tuple[str, str]
    eval: tuple[str, str] | None
    target: str
    limits: Budget
    learned: int
    judged: int
    evaluated: int
    short: TrialLength
    long: TrialLength
    figure: Figure = RIGHT


@dataclass(frozen=True, eq=False)
class Findings:
    """What a search gave.

    Attributes:
        tried: every scheme, the chosen one among them.
        chosen: the best that fits.
        memory: of its folder, as the target's linker placed it.
        worth: of each layer P of `choosing.fisher`, in execution order.
        contributions: of layers by how much their weights alone lower the loss of the judges.
        trainings: that stand behind all of it.
        notes: sentences on what was not as it should be.
    """

    tried: tuple[Tried, ...]
    chosen: Tried
    memory: MemoryUse
    worth: Mapping[str, float]
    contributions: Mapping[str, float]
    trainings: int
    notes: tuple[str, ...] = ()

    def front(self, what: str) -> list[Tried]:
        """The schemes that no other beats by accuracy, of those that trained longer; of all where
        none did.

        Args:
            what: it takes, "ram" or "instructions".
        """
        shown = [one for one in self.tried if one.long is not None] or list(self.tried)
        points = [(getattr(t.takes, what), (t.long or t.short).accuracy) for t in shown]
        return [shown[k] for k in pareto(points)]


def scheme_file(asked: Asked, found: Findings) -> bytes:
    """The scheme, with its provenance in comments."""
    chosen, memory = found.chosen, found.memory
    cost = chosen.fitted or chosen.takes
    comments = [
        f"Found by tinytrain {__version__}:",
        f"  {asked.command}",
        f"model   {asked.model[0]}, SHA-256 {asked.model[1]}",
        f"data    {asked.data[0]}, SHA-256 {asked.data[1]}",
        f"        {asked.learned} samples to learn from, {asked.judged} judges",
        _figures(
            "judges",
            chosen.long or chosen.short,
            asked.long if chosen.long else asked.short,
            asked.figure,
        ),
    ]
    if asked.eval is not None and chosen.eval is not None:
        comments += [
            f"eval    {asked.eval[0]}, SHA-256 {asked.eval[1]}",
            _figures("eval", chosen.eval, asked.long, asked.figure),
        ]
    comments += [
        f"bound   {gap_text(chosen)}",
        f"RAM     {memory.ram['total']:,} bytes of {asked.limits.ram:,} on {asked.target}, "
        "stack included",
        f"flash   {memory.flash['total']:,} bytes of {asked.limits.flash:,}",
        f"step    {cost.instructions:,} instructions, estimated",
        f"chosen out of {len(found.tried)} schemes by {found.trainings} trainings",
    ]
    return scheme_text(chosen.scheme, comments).encode()


def _figures(what: str, marks: Marks, length: TrialLength, figure: Figure) -> str:
    seeds = len(marks.accuracies)
    spread = f" ± {100 * marks.spread:.1f}" if seeds > 1 else ""
    return (
        f"{what:<7} {100 * marks.accuracy:.1f}{spread} % {figure.said} after {length.steps} steps, "
        f"{seeds} seed{'s' if seeds > 1 else ''}"
    )


COLUMNS = (
    "scheme", "origin", "ram", "instructions", "trained", "short_loss",
    "short_accuracy", "long_loss", "long_accuracy", "long_spread", "eval_accuracy",
    "eval_spread", "ram_front", "instructions_front", "chosen", "gap",
)  # fmt: skip


def csv_file(found: Findings) -> bytes:
    """A row for each scheme that was tried."""
    text = io.StringIO()
    table = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    table.writeheader()
    table.writerows(_rows(found))
    return text.getvalue().encode()


def json_file(asked: Asked, found: Findings) -> bytes:
    """All of it, with the text of each scheme."""
    rows = _rows(found)
    schemes = [
        {**row, "toml": scheme_text(one.scheme)} for row, one in zip(rows, found.tried, strict=True)
    ]
    limits, long, short = asked.limits, asked.long, asked.short
    layers = [
        {
            "name": layer,
            "fisher": finite(worth),
            "contribution": finite(found.contributions.get(layer, math.nan)),
        }
        for layer, worth in found.worth.items()
    ]
    described: dict[str, Any] = {
        "tinytrain": __version__,
        "command": asked.command,
        "model": _file(asked.model),
        "data": {**_file(asked.data), "learned": asked.learned, "judged": asked.judged},
        "eval": None if asked.eval is None else {**_file(asked.eval), "samples": asked.evaluated},
        "target": asked.target,
        "limits": {"ram": limits.ram, "flash": limits.flash, "instructions": limits.instructions},
        "short": {"steps": short.steps, "seeds": len(short.seeds), "judges": short.judges},
        "long": {"steps": long.steps, "seeds": len(long.seeds), "judges": long.judges},
        "figure": asked.figure.noun,
        "trainings": found.trainings,
        "chosen": found.chosen.name,
        "memory": {"ram": dict(found.memory.ram), "flash": dict(found.memory.flash)},
        "notes": list(found.notes),
        "layers": layers,
        "schemes": schemes,
    }
    return (json.dumps(described, indent=1, allow_nan=False) + "\n").encode()


def _file(named: tuple[str, str]) -> dict[str, str]:
    return {"file": named[0], "sha256": named[1]}


def _rows(found: Findings) -> list[dict[str, Any]]:
    fronts = {what: {id(one) for one in found.front(what)} for what in ("ram", "instructions")}
    return [_row(one, found, fronts) for one in found.tried]


def _row(one: Tried, found: Findings, fronts: Mapping[str, set[int]]) -> dict[str, Any]:
    takes, long, eval = one.takes, one.long, one.eval
    return {
        "scheme": one.name,
        "origin": one.origin,
        "ram": takes.ram,
        "instructions": takes.instructions,
        "trained": takes.trained,
        "short_loss": _rounded(one.short.loss),
        "short_accuracy": _rounded(one.short.accuracy),
        "long_loss": long and _rounded(long.loss),
        "long_accuracy": long and _rounded(long.accuracy),
        "long_spread": long and _rounded(long.spread),
        "eval_accuracy": eval and _rounded(eval.accuracy),
        "eval_spread": eval and _rounded(eval.spread),
        "ram_front": id(one) in fronts["ram"],
        "instructions_front": id(one) in fronts["instructions"],
        "chosen": one is found.chosen,
        "gap": one.gap,
    }


def _rounded(value: float) -> float | None:
    """To six digits: more say nothing, and end in another way on another machine."""
    found = finite(value)
    return None if found is None else float(f"{found:.6g}")


def names_of(output: Any, suffixes: Sequence[str] = (".html", ".csv", ".json")) -> list[Any]:
    """The files beside a scheme."""
    return [output.with_suffix(suffix) for suffix in suffixes]
