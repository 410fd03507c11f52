"""What decides a result, as a hash that names its file."""

from __future__ import annotations

import functools
import hashlib
import json
from importlib import metadata
from pathlib import Path
from typing import Any

from tinytrain import resources
from tinytrain.experiments.data import digest_of
from tinytrain.experiments.inputs import Input
from tinytrain.experiments.spec import DataSpec, Run
from tinytrain.frontend.onnx.parse import external_files
from tinytrain.version import __version__

SHOWS_ONLY = (
    "__init__.py",
    "cli/",
    "compiler/inspect.py",
    "experiments/cluster.py",
    "experiments/cluster_connection.py",
    "experiments/cluster_worker.py",
    "experiments/experiment.py",
    "experiments/fields.py",
    "experiments/inputs.py",
    "experiments/once.py",
    "experiments/parameters.py",
    "experiments/parcel.py",
    "experiments/plots.py",
    "experiments/pool.py",
    "experiments/processes.py",
    "experiments/progress.py",
    "experiments/report.py",
    "experiments/results.py",
    "experiments/runner.py",
    "experiments/table.py",
    "experiments/toml_file.py",
    "experiments/workers.py",
    "reports/",
    "searches/asking.py",
    "searches/conduct.py",
    "searches/display.py",
    "searches/explore.py",
    "searches/front.py",
    "searches/measured.py",
    "searches/outputs.py",
    "searches/page.py",
    "searches/parameters.py",
    "searches/search.py",
    "searches/session.py",
    "searches/store.py",
    "searches/valuations.py",
)
"""Files and folders of the package that decide no result."""


PACKAGES = ("numpy", "pillow", "onnx", "ortools")
"""Python packages whose version decides what a run gives, or what a scheme takes."""


def run_key(run: Run) -> str:
    """Of a run: the same for runs with the same curve."""
    return _key(
        {
            **_shared(run),
            "replay_steps": run.rule.replay_steps,
            "rehearsal_steps": run.rule.rehearsal_steps,
            "rate": run.rate,
            "steps": run.steps,
            "epochs": run.epochs,
            "order": run.order,
            "evaluations": run.evaluations,
            "torch": None if run.rule.engine == "c" else installed("torch"),
        }
    )


def cost_key(run: Run, target: str, instructions: bool) -> str:
    """Of what the run's rule costs on a target."""
    path = Path(target)
    described = _file_digest(path) if path.is_file() else target
    return _key({**_shared(run), "target": described, "instructions": instructions})


def _shared(run: Run) -> dict[str, Any]:
    model, scheme = run.model, Path(run.scheme)
    return {
        "code": code_digest(),
        "packages": {name: installed(name) for name in PACKAGES},
        "model": _model_digest(model.path),
        "head": model.head,
        "preprocess": [model.mean, model.std],
        "data": data_digest(run.data),
        "train_limit": run.train_limit,
        "test_limit": run.test_limit,
        "scheme": _file_digest(scheme) if scheme.is_file() else run.scheme,
        "engine": run.rule.engine,
        "options": dict(run.rule.options),
        "seed": run.seed,
    }


def _key(described: dict[str, Any]) -> str:
    text = json.dumps(described, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@functools.cache
def code_digest() -> str:
    """SHA-256 of all of tinytrain that can change a result, 64 hex digits."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256(__version__.encode())
    for root, pattern in (
        (package, "*.py"),
        (resources.folder("codegen"), "*"),
        (resources.folder("runtime_c"), "*.[ch]"),
        (resources.folder("targets"), "*"),
    ):
        for file in sorted(file for file in root.rglob(pattern) if file.is_file()):
            name = file.relative_to(root).as_posix()
            if not name.startswith(SHOWS_ONLY) and "__pycache__" not in name:
                digest.update(name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


@functools.cache
def _file_digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@functools.cache
def model_input(path: Path) -> Input:
    """A model's file, with those beside it that hold data of it."""
    is_onnx = path.suffix.lower() == ".onnx"
    return Input(path, tuple(external_files(path).items()) if is_onnx else ())


@functools.cache
def _model_digest(path: Path) -> str:
    given = model_input(path)
    return given.digest() if given.beside else _file_digest(path)


@functools.cache
def data_digest(spec: DataSpec) -> str:
    """`digest_of`, computed once."""
    return digest_of(spec)


def installed(package: str) -> str | None:
    """The version of a Python package; None where it is not there."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
