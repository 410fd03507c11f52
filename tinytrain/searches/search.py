"""`tinytrain search`: from samples and a budget to the scheme that learns best within it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinytrain.compiler.budget import Budget, MemoryUse
from tinytrain.compiler.options import make_options
from tinytrain.errors import UsageError
from tinytrain.experiments.workers import open_workers
from tinytrain.naming import advice
from tinytrain.option import check_options
from tinytrain.output_file import check_writable, scratch_folder, write_file
from tinytrain.scheme.scheme import Scheme
from tinytrain.searches.asking import Sources, command_of, subject_of
from tinytrain.searches.conduct import Listener, Silent
from tinytrain.searches.front import Tried
from tinytrain.searches.outputs import Asked, Findings, csv_file, json_file, names_of, scheme_file
from tinytrain.searches.page import search_page
from tinytrain.searches.parameters import SEARCH, STEP_OPTIONS
from tinytrain.searches.session import SearchSession
from tinytrain.target import Target, load_target


@dataclass(frozen=True, eq=False)
class SearchResult:
    """The scheme that a search found, and all that it tried.

    Attributes:
        output: the scheme's file.
        page, csv, json: what was tried, beside it.
        scheme: what was found.
        tried: every scheme with what it takes and how good it was; the chosen one among them.
        chosen: the row of the chosen one.
        memory: of its folder, as the target's linker placed it.
        limits: that it keeps.
        figure: what schemes are compared by, whose `accuracies` stand in the marks of each: the
            accuracy, the balanced one where classes are unequal, or the share of the loss that
            training takes away where there are no classes.
        trainings: that stand behind the choice.
        new_trainings: of these, that were not in the store yet.
        notes: sentences on what was not as it should be.
    """

    output: Path
    page: Path
    csv: Path
    json: Path
    scheme: Scheme
    tried: tuple[Tried, ...]
    chosen: Tried
    memory: MemoryUse
    limits: Budget
    figure: str
    trainings: int
    new_trainings: int
    notes: tuple[str, ...] = ()


# house(parameters): the public call, whose names others use
# house(function): most of it says what each parameter is
def search(
    model: Any,
    example: Any = None,
    *,
    data: Any,
    output: str | Path,
    eval: Any = None,
    target: str | Target = "host",
    ram: int | None = None,
    flash: int | None = None,
    instructions: int | None = None,
    beside: Sequence[str | Path] | None = None,
    calibration: Any = None,
    mean: Any = None,
    std: Any = None,
    model_output: str | None = None,
    store: str | Path = "build/search",
    workers: int | str | None = None,
    progress: Listener | None = None,
    **options: Any,
) -> SearchResult:
    """Finds what to train of a model within a budget, for given data, and writes it as a scheme.

    Args:
        model, example, model_output, calibration, mean, std: as `compile_model` takes them; without
            `calibration` the samples of `data` are taken.
        data: labelled samples to learn from and to choose by: path of an .npz with x and y, a pair
            (x, y), or a DataLoader or another list of such pairs. The last part of each class
            judges, and nothing is learned from it.
        output: the scheme's file, .toml; a page, CSV and JSON are written beside it.
        eval: labelled samples that the choice never sees; what was found is reported on them.
        target: name of a target, path of a target file, or a `Target`.
        ram, flash: budget in bytes instead of the target's, everything counted.
        instructions: of a step at most, as the kernels' cost model has them.
        beside: scheme files to show beside what was found; they are never chosen.
        store: folder of what was measured. Another search of the same model and data goes on from
            it, and one that was interrupted, too.
        workers: trainings at a time; None takes one for each core. `ray` or `ray://HOST:PORT`
            takes a Ray cluster.
        progress: hears how it goes on.
        options: fields of `options.Options` that every candidate is compiled with, but for `scheme`
            and `learning_rate`; docs/options.md has their ranges.

    Raises:
        TinytrainError: nothing was written then, but to the store.
    """
    check_options(SEARCH, ram=ram, flash=flash, instructions=instructions, workers=workers)
    asked = dict(locals())
    listener = progress or Silent()
    chosen = make_options({**_known(options), "scheme": "head"})
    where = target if isinstance(target, Target) else load_target(target)
    path = _scheme_path(output)
    listener.stage("reading the model and the samples")
    sources = Sources(model, example, model_output, data, eval, calibration, mean, std)
    named = target.name if isinstance(target, Target) else str(target)
    subject = subject_of(sources, chosen, where, named)
    limits = Budget(ram or where.ram, flash or where.flash, instructions)
    command = command_of(SEARCH, {**asked, **options})
    with ExitStack() as stack:
        crew = stack.enter_context(open_workers(workers))
        work = stack.enter_context(scratch_folder())
        session = SearchSession(subject, limits, Path(store), listener)
        found = session.run(crew, work, list(beside or ()))
    return _write(path, session.asked(command), found, session.new_trainings)


def _scheme_path(output: str | Path) -> Path:
    """Where the scheme goes; the files beside it have its name with other endings."""
    path = Path(output)
    if path.suffix != ".toml":
        raise UsageError(
            f"a scheme is a .toml file, got '{path.name}'", help=f"give -o {path.name}.toml"
        )
    for file in (path, *names_of(path)):
        check_writable(file)
    return path


def _known(options: dict[str, Any]) -> dict[str, Any]:
    unknown = [name for name in options if name not in STEP_OPTIONS]
    if unknown:
        raise UsageError(
            f"a search has no option '{unknown[0]}'",
            help="add it when you compile the scheme that was found",
        )
    return options


def _write(path: Path, asked: Asked, found: Findings, new: int) -> SearchResult:
    page, table, figures = names_of(path)
    write_file(page, search_page(asked, found))
    write_file(table, csv_file(found))
    write_file(figures, json_file(asked, found))
    # The scheme last: where it stands, all of it does.
    write_file(path, scheme_file(asked, found))
    return SearchResult(
        path,
        page,
        table,
        figures,
        found.chosen.scheme,
        found.tried,
        found.chosen,
        found.memory,
        asked.limits,
        asked.figure.noun,
        found.trainings,
        new,
        advice(found.notes),
    )
