"""CP-SAT as tinytrain runs it: the same problem gives the same answer, on every machine."""

from __future__ import annotations

from typing import Any


def make_solver(work: float) -> Any:
    """A `CpSolver` on one thread.

    Args:
        work: at which it ends with the best that it found, in the solver's deterministic seconds.
    """
    # Here, as it takes a third of a second, and most compilations need it not.
    from ortools.sat.python import cp_model

    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = 0
    solver.parameters.max_deterministic_time = work
    # It would end a search with what it has, and then leave SIGINT to end the process at once.
    solver.parameters.catch_sigint_signal = False
    return solver
