"""tinytrain compiles a trained model into C that goes on training it on a microcontroller.

`docs/python.md` lists what is here. Each command of the command line is a function with the same
name (`compile_model` for `compile`) and the same parameters.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tinytrain.naming import know_when_asked as _know_when_asked
from tinytrain.version import __version__

if TYPE_CHECKING:
    from tinytrain.boards.flash import FlashResult, flash
    from tinytrain.compiler.compile import compile_model
    from tinytrain.compiler.folder import Product
    from tinytrain.compiler.inspect import ModelReport, inspect
    from tinytrain.compiler.verify import Verification, verify
    from tinytrain.errors import (
        BudgetError,
        DataError,
        InternalError,
        ModelError,
        RunError,
        SchemeError,
        TinytrainError,
        ToolchainError,
        UsageError,
    )
    from tinytrain.experiments.experiment import ExperimentResult, experiment
    from tinytrain.link.monitor import monitor
    from tinytrain.link.readings import Reading
    from tinytrain.packages.package import PackageFile, package
    from tinytrain.reports.report import ReportPage, kernels, report
    from tinytrain.searches.search import SearchResult, search
    from tinytrain.signing import SignedFile, sign
    from tinytrain.simulation.device import Device, load
    from tinytrain.simulation.device_result import EvaluationResult, StepResult
    from tinytrain.simulation.device_watch import Judgements
    from tinytrain.simulation.migrate import Migration, migrate
    from tinytrain.simulation.result import SimulationResult
    from tinytrain.simulation.session import simulate
    from tinytrain.simulation.watch import watch
    from tinytrain.simulation.watch_result import WatchResult
    from tinytrain.target import Target, targets
    from tinytrain.toolchain.doctor import Diagnosis, doctor

__all__ = [
    "BudgetError",
    "DataError",
    "Device",
    "Diagnosis",
    "EvaluationResult",
    "ExperimentResult",
    "FlashResult",
    "InternalError",
    "Judgements",
    "Migration",
    "ModelError",
    "ModelReport",
    "PackageFile",
    "Product",
    "Reading",
    "ReportPage",
    "RunError",
    "SchemeError",
    "SearchResult",
    "SignedFile",
    "SimulationResult",
    "StepResult",
    "Target",
    "TinytrainError",
    "ToolchainError",
    "UsageError",
    "Verification",
    "WatchResult",
    "__version__",
    "compile_model",
    "doctor",
    "experiment",
    "flash",
    "inspect",
    "kernels",
    "load",
    "migrate",
    "monitor",
    "package",
    "report",
    "search",
    "sign",
    "simulate",
    "targets",
    "verify",
    "watch",
]

_HOMES = {
    "boards.flash": ("FlashResult", "flash"),
    "compiler.compile": ("compile_model",),
    "compiler.folder": ("Product",),
    "compiler.inspect": ("ModelReport", "inspect"),
    "compiler.verify": ("Verification", "verify"),
    "errors": (
        "BudgetError",
        "DataError",
        "InternalError",
        "ModelError",
        "RunError",
        "SchemeError",
        "TinytrainError",
        "ToolchainError",
        "UsageError",
    ),
    "experiments.experiment": ("ExperimentResult", "experiment"),
    "link.monitor": ("monitor",),
    "link.readings": ("Reading",),
    "packages.package": ("PackageFile", "package"),
    "reports.report": ("ReportPage", "kernels", "report"),
    "searches.search": ("SearchResult", "search"),
    "signing": ("SignedFile", "sign"),
    "simulation.device": ("Device", "load"),
    "simulation.migrate": ("Migration", "migrate"),
    "simulation.device_result": ("EvaluationResult", "StepResult"),
    "simulation.device_watch": ("Judgements",),
    "simulation.result": ("SimulationResult",),
    "simulation.session": ("simulate",),
    "simulation.watch": ("watch",),
    "simulation.watch_result": ("WatchResult",),
    "target": ("Target", "targets"),
    "toolchain.doctor": ("Diagnosis", "doctor"),
}


def _tell_of_options() -> None:
    for command in import_module("tinytrain.cli.command").COMMANDS:
        import_module(f"tinytrain.cli.commands.{command.name}")


_know_when_asked(_tell_of_options)


def __getattr__(name: str) -> Any:
    # Imported when first asked for, so that `tinytrain --help` does not wait for NumPy.
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"tinytrain.{home}"), name)
    raise AttributeError(f"module 'tinytrain' has no attribute '{name}'")


def __dir__() -> list[str]:
    return __all__
