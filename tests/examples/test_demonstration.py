"""The demo's program against a stand-in for the command line, and the watch demo for real."""

import json
import shlex
import sys
from dataclasses import replace

import numpy as np
import pytest

from examples import demonstration
from examples.demonstration import Story, tell
from examples.watch import demo as watch

STAND_IN = """#!{python}
import json, pathlib, sys
with open("calls.jsonl", "a") as log:
    log.write(json.dumps(sys.argv[1:]) + "\\n")
if sys.argv[1] == "compile":
    folder = pathlib.Path(sys.argv[sys.argv.index("-o") + 1])
    folder.mkdir(parents=True)
    facts = {{"name": "small", "ram": {{"total": 10752}}, "flash": {{"total": 2048}},
             "budget": {{"ram": 262144, "flash": 1048576}}, "rehearsal": None}}
    if "--rehearsal-slots" in sys.argv:
        facts["rehearsal"] = {{"slots": 4, "bytes": 640}}
    (folder / "manifest.json").write_text(json.dumps(facts))
elif {fail}:
    sys.exit(7)
else:
    if "--losses" in sys.argv:
        losses = pathlib.Path(sys.argv[sys.argv.index("--losses") + 1])
        losses.write_text("2.0\\n1.0\\n0.25\\n")
    weights = {{"qemu": "12ab" * 16, "host": "{host}" * 16}}[sys.argv[sys.argv.index("--on") + 1]]
    result = {{"accuracy_before": 0.5, "accuracy_after": 0.875, "loss_first": 2.0,
              "loss_last": 0.25, "weights_sha256": weights}}
    if "--icount" in sys.argv:
        result |= {{"instructions_per_step": 1234567, "instructions_per_inference": 345678,
                   "instructions_per_rehearsal_step": 1230001}}
    print(json.dumps(result))
"""


@pytest.fixture
def story(tmp_path, monkeypatch):
    monkeypatch.setattr(demonstration, "ROOT", tmp_path)
    model = tmp_path / "model.onnx"
    model.write_bytes(b"")
    samples = (np.zeros((4, 1, 8), np.float32), np.arange(4))
    return Story(
        name="small",
        text="The world changed. The device learns.",
        model=model,
        target="mps2-an500",
        ram="256K",
        flash="1M",
        scheme="full",
        learning_rate=0.003,
        steps=40,
        rehearsal_slots=4,
        calibration=samples,
        learn=samples,
        judge=samples,
        past=samples,
        judge_is="the new",
        past_is="the old",
    )


def install(tmp_path, monkeypatch, *, fail=False, host="12ab"):
    program = tmp_path / "tinytrain"
    program.write_text(STAND_IN.format(python=sys.executable, fail=fail, host=host))
    program.chmod(0o755)
    monkeypatch.setattr(demonstration, "_tinytrain", lambda: program.relative_to(tmp_path))


def calls(tmp_path):
    return [json.loads(line) for line in (tmp_path / "calls.jsonl").read_text().splitlines()]


def printed_commands(shown):
    """The words of each command that was printed, its lines joined."""
    joined = shown.replace(" \\\n", " ")
    return [shlex.split(line)[1:] for line in joined.splitlines() if line.startswith("  $ ")]


def test_it_compiles_trains_counts_and_reports(story, tmp_path, monkeypatch, capsys):
    install(tmp_path, monkeypatch)
    assert tell(story, []) == 0
    made = calls(tmp_path)
    assert [call[0] for call in made] == ["compile", "simulate", "simulate", "simulate"]
    for name in ("calibration", "learn", "judge", "past", "count"):
        with np.load(tmp_path / "build" / "demo" / "small-data" / f"{name}.npz") as archive:
            assert sorted(archive.files) == ["x", "y"]
    shown = capsys.readouterr().out
    expected = ["50.0%", "87.5%", "10,752", "262,144", "2,048", "1,048,576", "1,234,567", "345,678"]
    expected += ["2.000 █▅▂ 0.250", "12ab12ab12ab…, the same on emulator and host"]
    expected += ["640 bytes of it: 4 samples of before", "1,230,001"]
    for text in expected:
        assert text in shown
    assert "build/demo/small (src, include, port)" in shown


def test_a_story_without_rehearsal_asks_for_none(story, tmp_path, monkeypatch, capsys):
    install(tmp_path, monkeypatch)
    assert tell(replace(story, rehearsal_slots=0), []) == 0
    assert not any("--rehearsal-slots" in call for call in calls(tmp_path))
    assert "rehearsal" not in capsys.readouterr().out


def test_what_it_prints_is_what_it_runs(story, tmp_path, monkeypatch, capsys):
    install(tmp_path, monkeypatch)
    tell(story, ["--seed", "3", "--steps", "5"])
    printed = printed_commands(capsys.readouterr().out)
    assert [words[1:] for words in printed[:4]] == calls(tmp_path)
    assert len(printed) == 9
    assert printed[-1][1:] == ["flash", "build/demo/small", "--board", "nucleo-f746zg"]
    assert all(words[words.index("--seed") + 1] == "3" for words in printed if "--seed" in words)


def test_other_weights_on_the_host_fail_the_demo(story, tmp_path, monkeypatch, capsys):
    install(tmp_path, monkeypatch, host="56cd")
    assert tell(story, []) == 1
    shown = capsys.readouterr()
    assert "NOT the same" in shown.out
    assert "the same weights" in shown.err


def test_a_failing_command_ends_it_with_its_exit_code(story, tmp_path, monkeypatch, capsys):
    install(tmp_path, monkeypatch, fail=True)
    assert tell(story, []) == 7
    assert "accuracy on" not in capsys.readouterr().out


def test_every_line_is_short_and_every_path_relative(story, tmp_path, monkeypatch, capsys):
    install(tmp_path, monkeypatch)
    tell(story, [])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert not any(str(tmp_path) in line for line in lines)


def test_spread_covers_both_ends_and_no_more_than_there_is():
    assert list(demonstration.spread(5, 3)) == [0, 2, 4]
    assert list(demonstration.spread(2, 9)) == [0, 1]


@pytest.mark.parametrize("on", ["host", pytest.param("qemu", marks=pytest.mark.slow)])
def test_the_watch_learns_the_tenth_person(on, tmp_path, capsys):
    steps = 250 if on == "host" else watch.STEPS
    place = ("--output", str(tmp_path))
    assert tell(watch.story(), ["--on", on, "--steps", str(steps), *place]) == 0
    shown = capsys.readouterr().out

    def accuracies(of):
        (row,) = (line for line in shown.splitlines() if f"│ {of} " in line)
        return (float(cell) for cell in row.replace("│", " ").replace("%", "").split()[-2:])

    before, after = accuracies("the tenth person, held out")
    assert before < 75
    assert after > (85 if on == "host" else 95)
    known, kept = accuracies("the nine people before")
    assert known == 100
    assert kept >= 97
    if on == "qemu":
        # The whole run: its README promises these figures.
        said = (watch.MODEL.parent / "README.md").read_text(encoding="utf-8")
        assert f"| the tenth person, held out | 199 | {before}% | {after}% |" in said
        assert f"| the nine people before | 5,801 | {known}% | {kept}% |" in said
