"""`tinytrain doctor`, and the table of tools that it and the errors read."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

import tinytrain
from tests.support.paths import ROOT
from tinytrain.cli import main
from tinytrain.errors import ToolchainError, UsageError
from tinytrain.frontend import load_model
from tinytrain.target import targets
from tinytrain.toolchain.commands import require
from tinytrain.tools import TOOLS, tool_of


def test_what_is_here() -> None:
    found = tinytrain.doctor()
    assert found.can_compile and found.cores >= 1 and found.cpu
    assert [state.tool for state in found.tools] == list(TOOLS)
    versions = {state.tool.name: state.version for state in found.tools}
    assert re.fullmatch(r"\d+\.\d+(\.\d+)*", str(versions["make"]))
    assert versions["numpy"]
    host = next(state for state in found.targets if state.name == "host")
    assert (host.compiles, host.runs, host.missing) == (True, "here", ())


def commands(folder: Path, *names: str) -> Path:
    """A folder with commands that say a version, and nothing else on the path."""
    folder.mkdir()
    for name in names:
        (folder / name).write_text("#!/bin/sh\necho 'thing (Distribution 9.9-1) 4.2.1'\n")
        (folder / name).chmod(0o755)
    return folder


def test_a_machine_without_an_emulator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("cc", "make", "arm-none-eabi-gcc", "google-chrome")
    folder = commands(tmp_path / "bin", *names)
    # A compiler that finds its files says where.
    gcc = folder / "arm-none-eabi-gcc"
    gcc.write_text('#!/bin/sh\ncase "$1" in -print*) echo /lib/nano.specs;; *) echo 1.0;; esac\n')
    monkeypatch.setenv("PATH", str(folder))
    found = tinytrain.doctor()
    versions = {state.tool.name: state.version for state in found.tools}
    assert versions["make"] == "4.2.1"
    assert versions["nano.specs"] == "found"
    assert versions["chromium"] == "4.2.1"
    assert versions["qemu-system-arm"] is None
    state = {one.name: one for one in found.targets}
    assert state["mps2-an500"].compiles and state["mps2-an500"].runs is None
    assert state["mps2-an500"].missing == ("qemu-system-arm",)
    assert state["stm32f746-disco"].compiles and state["stm32f746-disco"].missing == ()


def test_a_compiler_without_its_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(commands(tmp_path / "bin", "make", "arm-none-eabi-gcc")))
    found = tinytrain.doctor()
    assert not found.can_compile
    state = {one.name: one for one in found.targets}
    assert state["host"].missing == ("cc",)
    assert state["stm32f746-disco"].missing == ("nano.specs",)


def test_an_empty_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["doctor"]) == ToolchainError.exit_code
    shown = capsys.readouterr()
    assert "missing: cc (compiles for this machine): apt-get install gcc libc6-dev" in shown.out
    assert shown.err.startswith("error: no target can be compiled for\n  help: ")
    assert main(["doctor", "--json"]) == ToolchainError.exit_code
    found = json.loads(capsys.readouterr().out)
    assert found["tools"]["make"] == {
        "use": "builds every compiled folder",
        "version": None,
        "get": "apt-get install make",
    }
    assert found["targets"]["host"] == {"compiles": False, "runs": None, "missing": ["cc", "make"]}


def test_json_of_this_machine(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["tinytrain"] == tinytrain.__version__
    assert set(found["targets"]) == {target.name for target in targets()}


@pytest.mark.parametrize(
    "tool", [tool for tool in TOOLS if tool.debian], ids=lambda tool: tool.name
)
def test_a_missing_command_is_told_as_the_table_has_it(
    tool: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolchainError) as caught:
        require(tool.name)  # type: ignore[attr-defined]
    assert caught.value.help == tool.get  # type: ignore[attr-defined]


def test_every_target_has_a_compiler_of_the_table() -> None:
    assert {tool_of(target.compiler) for target in targets()} <= set(TOOLS)


def test_setup_installs_what_the_table_names() -> None:
    script = (ROOT / "scripts" / "setup.sh").read_text(encoding="utf-8")
    # The compiler's package brings it along.
    named = (tool for tool in TOOLS if not tool.flashes and tool.name != "cp")
    packages = {name for tool in named for name in tool.debian.split()} - {"binutils-arm-none-eabi"}
    assert {name for name in packages if not re.search(rf"[ \n]{name}\b", script)} == set()


def test_extras_are_those_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {re.split(r"[=<>\[]", name)[0] for name in project["dependencies"]}
    for tool in TOOLS:
        if tool.debian or tool.by:
            continue
        extra = project["optional-dependencies"][tool.extra] if tool.extra else None
        held = {re.split(r"[=<>\[]", name)[0] for name in extra} if extra else needed
        assert tool.name in held, tool


def test_a_program_of_pytorch_without_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    (tmp_path / "own.pt2").write_bytes(b"PK")
    with pytest.raises(UsageError) as caught:
        load_model(tmp_path / "own.pt2")
    assert str(caught.value) == (
        "a .pt2 file needs PyTorch, which is not installed\n"
        "  at: own.pt2\n"
        "  help: pip install 'tinytrain[torch]', or export the model to ONNX"
    )
