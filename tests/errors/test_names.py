"""A message names an option as its reader does: command line, Python, an experiment's file."""

from __future__ import annotations

import ast
import copy
import dataclasses
import inspect
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import tinytrain
from tests.support.onnx_models import SHAPE, float_model
from tests.support.paths import ROOT
from tests.support.refusals import Refuse
from tinytrain.cli.command import COMMANDS
from tinytrain.cli.console import print_notes, print_warnings
from tinytrain.errors import UsageError
from tinytrain.manifest import to_json
from tinytrain.manifest.file import read_manifest
from tinytrain.naming import Advice, advice, as_written, in_a_file, in_python
from tinytrain.option import SWITCH, Option
from tinytrain.reference.class_health import ClassCounts
from tinytrain.reference.health import Health
from tinytrain.simulation.class_health import class_advice, class_reports

ROWS = {
    f"{command.name} {row.flag}": row
    for command in COMMANDS
    for row in command.parameters
    if not row.positional
}
FLAGS = {row.flag for command in COMMANDS for row in command.options}
OF_OTHERS = ("emit/build", "toolchain/", "cli/", "target/architecture", "target/runner", "tools.py")
"""Files whose flags are those of compilers, or of the command line alone."""


def is_switch(flag: str) -> bool:
    """Whether no command has a value behind the flag."""
    return all(row.kind is SWITCH for row in ROWS.values() if row.flag == flag)


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_every_option_is_named_for_each_reader(row: Option) -> None:
    error = UsageError(f"leave out {row.flag}, or both", help=f"see {row.flag}")
    written = f"{row.name}={row.default is not True}" if is_switch(row.flag) else f"{row.name}="
    assert str(error) == f"leave out {written}, or both\n  help: see {written}"
    assert error.on_command_line() == f"leave out {row.flag}, or both\n  help: see {row.flag}"
    assert in_a_file(f"add {row.flag}").startswith(f"add `{row.name}")


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_a_value_that_does_not_fit_is_told_by_the_parameter(row: Option) -> None:
    error = row.error(object())
    assert row.flag not in str(error) and f"{row.name}=" in str(error)
    assert error.on_command_line().startswith(f"{row.flag} must be ")


@pytest.mark.parametrize(
    ("text", "python", "file"),
    [
        ("add --enrol ncm", "add enrol='ncm'", "add `enrol = 'ncm'`"),
        ("use --enrol knn:8: it", "use enrol='knn:8': it", "use `enrol = 'knn:8'`: it"),
        ("--follow changes it", "follow= changes it", "`follow` changes it"),
        ("--classes N, or", "classes=N, or", "`classes = N`, or"),
        ("--ram 256K works", "ram=262144 works", "`ram = 262144` works"),
        ("--recompute 20% works", "recompute=0.2 works", "`recompute = 0.2` works"),
        ("add --calibration F.npz with x", "add calibration='F.npz' with x", None),
        ("compile with --no-health", "compile with health=False", None),
        ("another folder with -o", "another folder with output=", None),
        ("report `cc --version`", "report `cc --version`", "report `cc --version`"),
        ("a well-known -1", "a well-known -1", "a well-known -1"),
    ],
)
def test_values_are_written_as_each_reader_does(text: str, python: str, file: str | None) -> None:
    assert in_python(text) == python
    assert file is None or in_a_file(text) == file


def test_a_program_that_imports_one_function_reads_of_the_options_of_all() -> None:
    program = (
        "import tinytrain; device = tinytrain.load; "
        "print(tinytrain.UsageError('compile with --rate-limit 1024 and --loss huber'))"
    )
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert told.stdout == "compile with rate_limit=1024 and loss='huber'\n"


def test_what_a_compiler_is_told_stays() -> None:
    listing = "cc -o own --specs=nano.specs -Wl,--gc-sections --coverage main.c"
    assert listing in str(UsageError("it cannot be built", detail=listing))


def sentences() -> Iterator[tuple[str, str]]:
    """Every text in tinytrain but docstrings, with its file."""
    package = ROOT / "tinytrain"
    for path in sorted(package.rglob("*.py")):
        name = path.relative_to(package).as_posix()
        if name.startswith(OF_OTHERS):
            continue
        tree = ast.parse(path.read_text())
        docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        texts = (node for node in ast.walk(tree) if isinstance(node, ast.Constant))
        for text in texts:
            if isinstance(text.value, str) and id(text) not in docs:
                yield name, text.value


def test_no_message_names_a_flag_that_there_is_not() -> None:
    found = {
        (name, flag)
        for name, text in sentences()
        for flag in re.findall(r"(?<![\w-])--[a-z][a-z-]*", re.sub(r"`\w[^`]*`", "", text))
        if flag not in FLAGS
    }
    assert not found


def test_commands_to_be_typed_stay_as_they_are() -> None:
    """A command that has options stands between backticks, which no reader's names go into."""
    found = [
        (name, text)
        for name, text in sentences()
        if re.search(r"(?<!`)tinytrain [a-z]+ (?:[^`\s]+ )*-", text) and name != "tools.py"
    ]
    assert not found
    error = UsageError("there is no folder", help="let `tinytrain compile M -o DIR` write it")
    assert str(error).endswith("let `tinytrain compile M -o DIR` write it")


def test_sentences_of_results_are_told_in_two_ways(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = float_model(tmp_path / "own.onnx")
    x = np.random.default_rng(0).normal(size=(8, *SHAPE[1:])).astype(np.float32)
    product = tinytrain.compile_model(
        model, output=tmp_path / "own", calibration=x, target="pico2", link=True
    )
    (warning,) = (one for one in product.manifest.warnings if "link" in one)
    assert warning.startswith("link=True adds no program for 'pico2'")
    assert as_written(warning).startswith("--link adds no program")
    # The file is the same, whoever wrote it; who reads it is in Python again.
    held = json.loads((tmp_path / "own" / "manifest.json").read_text())["warnings"]
    assert as_written(warning) in held
    assert tuple(read_manifest(tmp_path / "own").warnings) == product.manifest.warnings
    copied = dataclasses.replace(product.manifest)
    assert to_json(copied)["warnings"] == held
    print_warnings([warning])
    print_notes([warning])
    shown = capsys.readouterr().err
    assert "warning: --link adds no program" in shown and "note: --link adds" in shown


def test_advice_of_a_session_names_parameters() -> None:
    counts = [ClassCounts(40, 20, 40, 0), ClassCounts(0, 0, 0, 5000)]
    report = Health(steps=5000, classes=counts, absent_after=100)
    (sentence,) = advice(class_advice(class_reports(report)))
    assert "(rehearse=, replay=)" in sentence and "(--rehearse, --replay)" in as_written(sentence)
    copied = copy.deepcopy(sentence)
    assert isinstance(copied, Advice) and copied.written == as_written(sentence)


def test_every_option_of_a_command_is_a_parameter() -> None:
    for command in COMMANDS:
        name = "compile_model" if command.name == "compile" else command.name
        function = getattr(tinytrain, name)
        known = inspect.signature(function).parameters
        takes_any = any(one.kind is one.VAR_KEYWORD for one in known.values())
        assert takes_any or {row.name for row in command.parameters} <= set(known), name


def test_the_same_mistake_is_told_in_two_ways(refuse: Refuse, tmp_path: Path) -> None:
    model = float_model(tmp_path / "own.onnx")
    text = refuse(2, "compile", model, "-o", tmp_path / "own")
    assert "help: add --calibration FILE.npz with" in text
    with pytest.raises(UsageError, match=r"help: add calibration='FILE\.npz' with") as caught:
        tinytrain.compile_model(model, output=tmp_path / "own")
    assert "--" not in str(caught.value)
    with pytest.raises(UsageError, match=r"^replay_in= changes nothing, as replay= is not given"):
        tinytrain.compile_model(model, output=tmp_path / "own", replay_in="flash")
