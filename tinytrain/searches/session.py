"""One search, from its subject to its findings."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tinytrain.choosing.channel_scores import with_channels
from tinytrain.choosing.choices import Choices, scheme_key
from tinytrain.compiler.budget import Budget, MemoryUse
from tinytrain.compiler.compiled import Compiled
from tinytrain.compiler.costs import Cost, Costs, cost_of
from tinytrain.compiler.folder import write_folder
from tinytrain.compiler.head_alone import check_head
from tinytrain.compiler.pipeline import build_step
from tinytrain.errors import BudgetError, Where
from tinytrain.experiments.pool import Workers
from tinytrain.output_file import scratch_folder
from tinytrain.passes.base import Runner
from tinytrain.scheme.channels import is_measured
from tinytrain.scheme.scheme import AUTO, Scheme, Share, load_scheme
from tinytrain.searches.asking import Subject
from tinytrain.searches.at_once import chosen_at_once
from tinytrain.searches.bench import write_bench
from tinytrain.searches.candidate import check_within
from tinytrain.searches.conduct import Conductor, Listener
from tinytrain.searches.explore import Explored, Explorer
from tinytrain.searches.finals import Finals, trainings_of
from tinytrain.searches.front import BESIDE, Tried, best
from tinytrain.searches.lengths import lengths_for
from tinytrain.searches.measured import KIND, Measured
from tinytrain.searches.outputs import Asked, Findings
from tinytrain.searches.prices import Prices
from tinytrain.searches.sets import Sets
from tinytrain.searches.store import Store
from tinytrain.searches.worth import known_worth


class SearchSession:
    """A search of one subject.

    Args:
        limits: of the scheme that is wanted.
        root: folder of all stores.
    """

    def __init__(self, subject: Subject, limits: Budget, root: Path, listener: Listener) -> None:
        self._subject, self._limits, self._listener = subject, limits, listener
        self._store = Store(root / f"{subject.name}-{subject.key[:12]}")
        self._measured, self._cache = Measured(self._store), root / "libraries"
        self._lengths = lengths_for(subject.forward, subject.samples)
        report = self._lengths.report
        self._reports = [] if report is None else [replace(report, digest=subject.names["eval"][1])]
        self.new_trainings = 0

    def run(self, workers: Workers, work: Path, beside: Sequence[str | Path]) -> Findings:
        """Measures what is not known yet, and chooses.

        Args:
            workers: do the trainings.
            work: empty folder for what they read.
            beside: scheme files that are shown, and never chosen.

        Raises:
            BudgetError: nothing fits.
            SchemeError: a scheme beside is none of this model.
            RunError: a training failed; the others are kept.
        """
        subject, listener = self._subject, self._listener
        listener.stage("asking what schemes take")
        costs = Costs(
            subject.forward, subject.options, subject.target, subject.given.quantized_samples()
        )
        others = self._beside(beside, costs)
        prices, sets = Prices(costs, self._store), Sets(costs, self._store)
        check_head(costs, self._limits)
        listener.stage("looking at what layers contribute")
        worth = known_worth(subject, self._store)
        # What measures channels is known now; a training has to be told which ones.
        others = [with_channels(one, worth) if is_measured(one) else one for one in others]
        bench = functools.cache(functools.partial(self._bench, work, _everything(costs.choices)))
        conductor = Conductor(self._measured, bench, self._cache, workers, listener)
        explorer = Explorer(
            subject.layers,
            costs.choices,
            self._measured,
            self._lengths.short,
            prices,
            sets,
            worth,
            subject.target.ram,
        )
        beyond = self._beyond(len(others))

        def expect(total: int) -> None:
            listener.expect(max(total + beyond, conductor.done))

        explored = conductor.answer(lambda: explorer.explore(self._limits, expect))
        auto = self._at_once(costs, sets)
        explored = conductor.answer(lambda: self._with_auto(explored, auto, prices))
        tried, chosen, memory, notes = self._decide(conductor, explored, prices)
        tried = conductor.answer(lambda: self._with_others(tried, others, prices))
        if self._reports:
            tried = conductor.answer(lambda: self._reported(tried, chosen))
        self.new_trainings = conductor.done
        (winner,) = (one for one in tried if one.scheme is chosen.scheme)
        return Findings(
            tuple(tried),
            winner,
            memory,
            worth.layers,
            explored.contributions,
            sum(one.trainings for one in tried),
            (*self._subject.notes, *notes),
        )

    def _beyond(self, others: int) -> int:
        """How many trainings come after what is explored, about."""
        lengths = self._lengths
        beside = len(lengths.short.seeds) + len(lengths.long.seeds)
        shown = len(self._reports) * (1 + others) * len(lengths.long.seeds)
        # Known ones take no time; what of them this search needs is not known yet.
        return trainings_of(lengths) + beside * others + shown - self._store.count(KIND)

    def asked(self, command: str) -> Asked:
        """What the search was asked, for its files."""
        subject, samples = self._subject, self._subject.samples
        learned, judged = samples.counts
        return Asked(
            command,
            subject.name,
            subject.names["model"],
            subject.names["data"],
            subject.names.get("eval"),
            subject.target.name,
            self._limits,
            learned,
            judged,
            0 if samples.eval is None else len(samples.eval),
            self._lengths.short,
            self._lengths.long,
            samples.figure,
        )

    def _beside(self, files: Sequence[str | Path], costs: Costs) -> list[Scheme]:
        """The schemes that are shown beside, each one that the library of all candidates holds."""
        found = [load_scheme(str(file), self._subject.layers) for file in files]
        if found:
            largest = costs.selected(_everything(costs.choices))
            for scheme in found:
                check_within(costs.selected(scheme), largest, Where(scheme.name))
        return found

    def _at_once(self, costs: Costs, sets: Sets) -> Scheme:
        self._listener.stage(f"choosing as --scheme {AUTO} does")
        return chosen_at_once(self._subject, costs, sets, self._store, self._limits)

    def _with_auto(self, explored: Explored, auto: Scheme, prices: Prices) -> Explored:
        if scheme_key(auto) in (one.key for one in explored.tried):
            return explored
        (marks,) = self._measured.marks([auto], self._lengths.short)
        tried = Tried(auto, AUTO, prices.takes(auto), marks)
        return replace(explored, tried=(*explored.tried, tried))

    def _decide(
        self, conductor: Conductor, explored: Explored, prices: Prices
    ) -> tuple[list[Tried], Tried, MemoryUse, tuple[str, ...]]:
        """The best whose folder fits; all that was tried, with what longer trainings gave.

        Raises:
            BudgetError: of none that was tried the folder fits.
        """
        head = self._subject.layers[-1]
        finals = Finals(self._measured, self._lengths, prices, self._limits, head)
        refused: dict[object, tuple[str, BudgetError]] = {}
        while True:
            tried = conductor.answer(lambda: finals.of(explored.tried, set(refused)))
            finalists = [one for one in tried if one.long and one.key not in refused]
            if not finalists:
                _, error = next(iter(refused.values()))
                raise error
            chosen = best(finalists)
            self._listener.stage(f"building {chosen.name} for its target")
            try:
                fitted, memory = self._built(chosen.scheme)
            except BudgetError as error:
                # The planner's sum and the linker's may differ by a few bytes.
                refused[chosen.key] = chosen.name, error
                continue
            notes = tuple(f"{name} was better, and {e.what}" for name, e in refused.values())
            winner = replace(chosen, fitted=fitted)
            return [winner if one is chosen else one for one in tried], winner, memory, notes

    def _with_others(
        self, tried: Sequence[Tried], others: Sequence[Scheme], prices: Prices
    ) -> list[Tried]:
        """With the schemes that are shown beside."""
        short = self._measured.marks(others, self._lengths.short)
        long = self._measured.marks(others, self._lengths.long)
        beside = [
            Tried(scheme, BESIDE, prices.takes(scheme), *marks)
            for scheme, marks in zip(others, zip(short, long, strict=True), strict=True)
        ]
        return [*tried, *beside]

    def _reported(self, tried: Sequence[Tried], chosen: Tried) -> list[Tried]:
        """With figures of the samples that the choice never saw: of the choice, and beside it."""
        (report,) = self._reports
        shown = [one for one in tried if one is chosen or one.origin == BESIDE]
        marks = self._measured.marks([one.scheme for one in shown], report)
        found = dict(zip((id(one) for one in shown), marks, strict=True))
        return [replace(one, eval=found.get(id(one))) for one in tried]

    def _bench(self, work: Path, largest: Scheme) -> tuple[Path, Path]:
        self._listener.stage("building the library of all candidates")
        return write_bench(work, self._step(largest), self._subject.samples)

    def _step(self, scheme: Scheme) -> Compiled:
        subject = self._subject
        given = subject.given
        return build_step(
            given.forward, subject.options, Runner(), given.quantized_samples(), scheme=scheme
        )

    def _built(self, scheme: Scheme) -> tuple[Cost, MemoryUse]:
        """What the scheme's folder takes, as the target's linker placed it.

        Raises:
            BudgetError: too much.
        """
        subject = self._subject
        with scratch_folder() as place:
            product = write_folder(
                self._step(scheme),
                place / "model",
                target=subject.target,
                target_name=subject.target_name,
                preprocess=subject.preprocess,
                budget=self._limits,
                given=subject.given,
            )
        return cost_of(product.compiled, product.memory), product.memory


def _everything(choices: Choices) -> Scheme:
    """The scheme that all candidates are within."""
    body = choices.layers[len(choices.layers) - choices.counts[-1] :]
    return Scheme("largest", body, {layer: Share() for layer in choices.ratios})
