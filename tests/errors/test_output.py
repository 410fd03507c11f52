"""The output folder: whole or not at all, never over what is the user's, nothing left behind."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

import pytest

from tests.support.onnx_models import quantized_model
from tests.support.refusals import Refuse
from tests.support.surroundings import HANGS, as_from_a_terminal, is_alive
from tinytrain.cli import main
from tinytrain.emit import folder as folder_module
from tinytrain.emit.folder import FolderWriter
from tinytrain.errors import UsageError
from tinytrain.output_file import check_writable, scratch_folder, write_file

USAGE_ERROR, MODEL_ERROR = 2, 3


def foreign_files(path: Path) -> None:
    path.mkdir()
    (path / "thesis.txt").write_text("years of work")


def another_manifest(path: Path) -> None:
    path.mkdir()
    (path / "manifest.json").write_text('["tinytrain"]')


def not_even_json(path: Path) -> None:
    path.mkdir()
    (path / "manifest.json").write_text("[" * 100_000)


OUTPUTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "file": (lambda path: path.write_text("mine"), "exists and is no folder"),
    "foreign folder": (foreign_files, "exists and is no folder that tinytrain wrote"),
    "another manifest": (another_manifest, "exists and is no folder that tinytrain wrote"),
    "broken manifest": (not_even_json, "exists and is no folder that tinytrain wrote"),
    "link in a circle": (
        lambda path: path.symlink_to(path),
        "the output folder cannot be",
    ),
}


@pytest.mark.parametrize("name", sorted(OUTPUTS))
def test_what_is_not_ours_stays(name: str, model: Path, refuse: Refuse, tmp_path: Path) -> None:
    make, sentence = OUTPUTS[name]
    make(tmp_path / "out")
    told = refuse(USAGE_ERROR, "compile", model, "-o", tmp_path / "out")
    assert sentence in told.split("\n")[0]


def test_file_of_the_user_among_ours(
    model: Path, compiled: Path, refuse: Refuse, tmp_path: Path
) -> None:
    shutil.copytree(compiled, tmp_path / "out")
    (tmp_path / "out" / "src" / "app.c").write_text("int mine;")
    told = refuse(USAGE_ERROR, "compile", model, "-o", tmp_path / "out")
    assert told.startswith(
        f"the output '{tmp_path / 'out'}' exists and holds 'src/app.c', which tinytrain did not"
    )


def test_change_of_the_user_in_ours(
    model: Path, compiled: Path, refuse: Refuse, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(compiled, out)
    header = out / "src" / "small.h"
    header.write_text(header.read_text() + "/* mine */\n")
    told = refuse(USAGE_ERROR, "compile", model, "-o", out)
    assert told.split("\n") == [
        f"'{header}' was changed after tinytrain wrote the folder",
        "  help: name another folder with -o, or replace what was changed with --force",
    ]
    assert header.read_text().endswith("/* mine */\n")
    assert main(["compile", str(model), "-o", str(out), "--json", "--force"]) == 0
    assert header.read_bytes() == (compiled / "src" / "small.h").read_bytes()


@pytest.mark.parametrize(
    "place", ["/proc/nowhere/out", "/dev/null/out", "x" * 300, "file/out", "/proc/1/out"]
)
def test_place_that_cannot_be_written(
    place: str, model: Path, refuse: Refuse, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("mine")
    told = refuse(USAGE_ERROR, "compile", model, "-o", tmp_path / place)
    assert told.startswith("the output folder cannot be ")


def test_old_output_stays_when_a_new_one_fails(
    compiled: Path, model: Path, refuse: Refuse, tmp_path: Path
) -> None:
    shutil.copytree(compiled, tmp_path / "out")
    # One refusal before anything is written, one after everything was.
    (tmp_path / "bad.onnx").write_bytes(b"")
    refuse(MODEL_ERROR, "compile", tmp_path / "bad.onnx", "-o", tmp_path / "out")
    refuse(6, "compile", model, "-o", tmp_path / "out", "--ram", 900)


def test_no_parent_folder_stays_behind(model: Path, refuse: Refuse, tmp_path: Path) -> None:
    refuse(6, "compile", model, "-o", tmp_path / "new" / "deep" / "out", "--ram", 900)


def test_old_output_is_replaced_as_a_whole(compiled: Path, tmp_path: Path) -> None:
    shutil.copytree(compiled, tmp_path / "out")
    (tmp_path / "out" / "build" / "host").mkdir(parents=True)
    (tmp_path / "out" / "build" / "host" / "small").write_text("what make left")
    (tmp_path / "out" / "README.md").unlink()
    other = quantized_model(tmp_path / "other.onnx", seed=1)
    assert main(["compile", str(other), "-o", str(tmp_path / "out"), "--json"]) == 0
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["name"] == "other"
    assert not (tmp_path / "out" / "src" / "small.c").exists()
    left = tmp_path / "out" / "build" / "host" / "small"
    assert left.read_text() == "what make left"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other.onnx", "out"]


def write(folder: Path, text: str) -> None:
    with FolderWriter(folder) as writer:
        writer.write({"src/a.c": text})
        writer.commit('{"tinytrain": "0", "files": {"src/a.c": ""}}')


def test_link_to_a_folder_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "out").symlink_to("real")
    write(tmp_path / "out", "a")
    write(tmp_path / "out", "b")
    assert (tmp_path / "out").is_symlink()
    assert (tmp_path / "real" / "src" / "a.c").read_text() == "b"


def test_working_directory_as_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path / "out")
    write(Path("."), "a")
    assert (tmp_path / "out" / "src" / "a.c").read_text() == "a"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


@pytest.mark.parametrize("failing", [1, 2])
def test_interrupted_exchange_keeps_the_old_folder(
    failing: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "out", "old")
    rename, calls = Path.rename, []

    def interrupted(path: Path, target: Path) -> Path:
        calls.append(path)
        if len(calls) == failing:
            raise KeyboardInterrupt
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "out", "new")
    assert (tmp_path / "out" / "src" / "a.c").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The writer's own error, and nothing half written."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folder_module.Path, "write_bytes", full)
    with pytest.raises(UsageError, match="cannot be written: No space left on device"):
        write(tmp_path / "new" / "out", "a")
    assert list(tmp_path.iterdir()) == []


def test_full_disk_of_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody named that folder, so that `-o` would not help."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    full = OSError(28, "No space left on device")

    def told() -> str:
        with pytest.raises(UsageError) as caught, scratch_folder() as place:
            write(place / "out", "a")
        return str(caught.value)

    monkeypatch.setattr(folder_module.Path, "write_bytes", Mock(side_effect=full))
    assert told() == (
        "temporary files cannot be written: No space left on device\n"
        f"  at: {tmp_path}\n"
        "  help: make room there, or name another folder in the environment variable TMPDIR"
    )
    with pytest.raises(UsageError, match="temporary files cannot be written"), scratch_folder():
        raise full
    # What is written elsewhere meanwhile names its own file.
    elsewhere = OSError(28, "No space left on device", "store/a.json")
    with pytest.raises(OSError, match=r"store/a\.json"), scratch_folder():
        raise elsewhere
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    assert "No such file or directory" in told()
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Path:
    """A file system of 64 KB; needs root and mount."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no file system can be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def test_disk_that_is_really_full(
    small_disk: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["compile", str(model), "-o", str(small_disk / "out")])
    told = capsys.readouterr().err
    assert code in (USAGE_ERROR, 7), told
    assert "No space left on device" in told
    assert "Traceback" not in told
    assert list(small_disk.iterdir()) == []


def test_no_room_for_what_was_learned(
    small_disk: Path,
    compiled: Path,
    samples: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (small_disk / "other").write_bytes(bytes(60 * 1024))
    (small_disk / "saved.bin").write_bytes(b"from last week")
    with contextlib.suppress(OSError):
        (small_disk / "filler").write_bytes(bytes(2**16))
    arguments = ["simulate", compiled, "--data", samples, "--steps", 1,
                 "--save", small_disk / "saved.bin"]  # fmt: skip
    assert main([str(argument) for argument in arguments]) == USAGE_ERROR
    told = capsys.readouterr().err
    assert f"'{small_disk / 'saved.bin'}' cannot be written: No space left on device" in told
    assert (small_disk / "saved.bin").read_bytes() == b"from last week"
    assert sorted(path.name for path in small_disk.iterdir()) == ["filler", "other", "saved.bin"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_in_the_middle(
    number: signal.Signals, code: int, model: Path, tmp_path: Path
) -> None:
    """While the target's compiler runs: no partial folder, no temporary one, no process left."""
    out, running = tmp_path / "new" / "out", tmp_path / "running"
    process = compile_slowly(model, out, running)
    send_when_running(process, number, running)
    _, errors = process.communicate(timeout=HANGS)
    assert process.returncode == code
    assert "Traceback" not in errors
    assert errors.splitlines()[-1] == ("interrupted" if code == 130 else "ended by SIGTERM")
    assert not (tmp_path / "new").exists()
    for pid in running.read_text().split():
        assert not is_alive(int(pid))


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_signal_that_the_parent_ignores(
    number: signal.Signals, model: Path, tmp_path: Path
) -> None:
    """As under nohup: the compiler goes on to its end."""
    out, running = tmp_path / "out", tmp_path / "running"
    process = compile_slowly(model, out, running, ignored=number)
    send_when_running(process, number, running)
    (tmp_path / "go").touch()
    _, errors = process.communicate(timeout=HANGS)
    assert process.returncode == 0, errors
    assert (out / "manifest.json").is_file()


def compile_slowly(
    model: Path, out: Path, running: Path, ignored: signal.Signals | None = None
) -> subprocess.Popen[str]:
    """Compiles with a `cc` that writes its process' number and waits for a file `go` beside it."""
    cc = running.parent / "bin" / "cc"
    cc.parent.mkdir()
    cc.write_text(
        '#!/bin/sh\ncase "$*" in *--version*) exec gcc "$@";; esac\n'
        f"echo $$ >> '{running}'\n"
        f"while ! [ -e '{running.parent}/go' ]; do sleep 0.1; done\n"
        'exec gcc "$@"\n'
    )
    cc.chmod(0o755)

    def signals() -> None:
        as_from_a_terminal()
        if ignored is not None:
            signal.signal(ignored, signal.SIG_IGN)

    return subprocess.Popen(
        [sys.executable, "-m", "tinytrain.cli", "compile", str(model), "-o", str(out)],
        env={**os.environ, "PATH": f"{cc.parent}:{os.environ['PATH']}"},
        preexec_fn=signals,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def send_when_running(
    process: subprocess.Popen[str], number: signal.Signals, running: Path
) -> None:
    """Sends a signal once the slow compiler has said that it runs."""
    while not (running.exists() and running.read_text().endswith("\n")):
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        time.sleep(0.05)
    process.send_signal(number)


def test_a_file_is_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `sign`, `migrate`, `package` and `simulate` write."""
    file = tmp_path / "out"
    write_file(file, b"old")
    for name in ("write_bytes", "replace"):

        def fail(self: Path, *rest: object, name: str = name) -> None:
            if name == "write_bytes":
                self.open("wb").write(b"ha")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with monkeypatch.context() as full, pytest.raises(UsageError) as caught:
            full.setattr(Path, name, fail)
            write_file(file, b"new")
        assert "cannot be written: No space left on device" in str(caught.value)
        assert caught.value.help == "name another file, or make room there"
        assert [(one.name, one.read_bytes()) for one in tmp_path.iterdir()] == [("out", b"old")]


@pytest.mark.parametrize(
    ("place", "why"),
    [
        (".", "it is a folder"),
        ("none/out", "its folder is missing or not writable"),
        ("/proc/1/out", "its folder is missing or not writable"),
        ("/dev/null/out", "its folder is missing or not writable"),
        ("y" * 300, "File name too long"),
    ],
)
def test_a_file_that_cannot_be_written_is_told_before_the_work(
    place: str, why: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=f"cannot be written: {why}"):
        check_writable(tmp_path / place)
