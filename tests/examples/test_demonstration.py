"""The demo's program against a stand-in for the command line."""

import json
import sys

import numpy as np
import pytest

from examples import demonstration
from examples.demonstration import Story, tell

STAND_IN = """#!{python}
import json, pathlib, sys
with open("calls.jsonl", "a") as log:
    log.write(json.dumps(sys.argv[1:]) + "\\n")
if sys.argv[1] == "compile":
    folder = pathlib.Path(sys.argv[sys.argv.index("-o") + 1])
    folder.mkdir(parents=True)
    sizes = {{"ram": {{"arena": 10240, "stack": 512, "total": 10752}},
             "flash": {{"code": 2048, "total": 2048, "budget": 4194304}}}}
    (folder / "manifest.json").write_text(json.dumps(sizes))
elif "--icount" in sys.argv:
    print(json.dumps({{"instructions_per_step": 1234567}}))
elif {fail}:
    sys.exit(7)
else:
    print(json.dumps({{"accuracy_before": 0.5, "accuracy_after": 0.875, "loss_first": 2.0,
                      "loss_last": 0.25}}))
"""


@pytest.fixture
def story(tmp_path, monkeypatch):
    monkeypatch.setattr(demonstration, "ROOT", tmp_path)
    monkeypatch.setattr(sys, "argv", ["demo"])
    model = tmp_path / "model.onnx"
    model.write_bytes(b"")
    samples = (np.zeros((4, 1, 8), np.float32), np.arange(4))
    return Story(
        name="small",
        text="The world changed. The device learns.",
        model=model,
        target="mps2-an500",
        ram="256K",
        scheme="full",
        learning_rate=0.003,
        steps=40,
        calibration=samples,
        learn=samples,
        judge=samples,
    )


def install(tmp_path, monkeypatch, *, fail):
    program = tmp_path / "tinytrain"
    program.write_text(STAND_IN.format(python=sys.executable, fail=fail))
    program.chmod(0o755)
    monkeypatch.setattr(demonstration, "_tinytrain", lambda: program.relative_to(tmp_path))


def test_it_compiles_trains_counts_and_reports(story, tmp_path, monkeypatch, capsys):
    install(tmp_path, monkeypatch, fail=False)
    assert tell(story) == 0
    calls = [json.loads(line) for line in (tmp_path / "calls.jsonl").read_text().splitlines()]
    assert [call[0] for call in calls] == ["compile", "simulate", "simulate"]
    for name in ("calibration", "learn", "judge"):
        with np.load(tmp_path / "build" / "demo" / "small-data" / f"{name}.npz") as archive:
            assert sorted(archive.files) == ["x", "y"]
    shown = capsys.readouterr().out
    for expected in ("0.500", "0.875", "10,752", "262,144", "4,194,304", "1,234,567"):
        assert expected in shown
    assert "build/demo/small/src" in shown


def test_a_failing_command_ends_it_with_its_exit_code(story, tmp_path, monkeypatch, capsys):
    install(tmp_path, monkeypatch, fail=True)
    assert tell(story) == 7
    assert "What it learned" not in capsys.readouterr().out


def test_a_path_in_every_command_is_relative(story, tmp_path, monkeypatch, capsys):
    install(tmp_path, monkeypatch, fail=False)
    tell(story)
    commands = [line for line in capsys.readouterr().out.splitlines() if "$ " in line]
    assert len(commands) == 7
    assert not any(str(tmp_path) in line for line in commands)


def test_spread_covers_both_ends_and_no_more_than_there_is():
    assert list(demonstration.spread(5, 3)) == [0, 2, 4]
    assert list(demonstration.spread(2, 9)) == [0, 1]
