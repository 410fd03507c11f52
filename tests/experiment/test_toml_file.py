"""What an experiment's file may say, and what it is told otherwise."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.experiments import FILE, write_experiment
from tinytrain.errors import UsageError
from tinytrain.experiments.spec import Experiment, with_schedule
from tinytrain.experiments.toml_file import load_experiment


def load(folder: Path, text: str) -> Experiment:
    """The file with this text."""
    return load_experiment(write_experiment(folder, text))


def test_runs_are_every_rate_with_every_seed(tmp_path: Path) -> None:
    text = FILE + 'fraction_bits = 2\n[rules."s8, nearest"]\nupdate = "nearest"\nrates = [0.5]\n'
    groups = list(load(tmp_path, text).groups())
    assert [[run.title for run in runs] for runs in groups] == [
        [
            f"small/noise/last/shipped/rate {rate}/seed {seed}"
            for seed in (4, 5)
            for rate in (0.01, 0.02)
        ],
        [f"small/noise/last/s8, nearest/rate 0.5/seed {seed}" for seed in (4, 5)],
    ]
    first, nearest = groups[0][0], groups[1][0]
    assert first.rule.options == {"schedule": "cosine", "fraction_bits": 2}
    assert nearest.rule.options == {"schedule": "cosine", "update": "nearest"}
    assert first.steps_for(24) == 30


def test_a_scheme_may_be_another_one_for_each_model(tmp_path: Path) -> None:
    scheme = tmp_path / "schemes" / "own.toml"
    scheme.parent.mkdir()
    scheme.write_text("biases = 1\n")
    text = FILE.replace('last = "last-1"', 'own = { small = "schemes/own.toml" }\nhead = "head"')
    text += '[models.other]\npath = "small.onnx"\n'
    found = {
        (runs[0].model.name, runs[0].scheme_name): runs[0].scheme
        for runs in load(tmp_path, text).groups()
    }
    assert found == {
        ("small", "own"): str(scheme),
        ("small", "head"): "head",
        ("other", "head"): "head",
    }


def test_epochs_are_of_the_samples_that_there_are(tmp_path: Path) -> None:
    experiment = load(tmp_path, FILE.replace("steps = 30", "epochs = 3"))
    assert next(experiment.groups())[0].steps_for(24) == 72


@pytest.mark.parametrize(
    ("options", "schedule"),
    [
        ({"schedule": "cosine"}, "cosine:100"),
        ({"schedule": "cosine", "accumulate": 8, "warm_up": 4}, "cosine:8"),
        ({"schedule": "cosine:7"}, "cosine:7"),
        ({"schedule": "constant"}, "constant"),
    ],
)
def test_a_cosine_ends_with_the_run(options: dict[str, object], schedule: str) -> None:
    assert with_schedule(options, 100)["schedule"] == schedule


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        ("steps = 30", "steps = 30\nepochs = 1", "either `steps` or `epochs`"),
        ("steps = 30", "", "either `steps` or `epochs`"),
        (
            "steps = 30",
            "steps = 2.5",
            "`steps` must be an integer between 1 and 10000000, got 2.5 (field `steps`)",
        ),
        ("steps = 30", "steps = -1", "`steps` must be between 1 and 10000000, got -1"),
        ("steps = 30", "step = 30\nsteps = 3", "`step` is unknown here (field `step`)"),
        ("seeds = [4, 5]", "seeds = []", "`seeds` is empty"),
        (
            "seeds = [4, 5]",
            "seeds = [true]",
            "`seeds` must be an integer between 0 and 2^32 - 1, got True",
        ),
        ("rates = [0.01, 0.02]", "", "rule 'shipped' has no learning rate"),
        ("rates = [0.01, 0.02]", "rates = [0.1, 0.1]", "a rate is listed twice"),
        ("rates = [0.01, 0.02]", "rates = [nan]", "`rates` must be between 0 and 1024, got nan"),
        ("rates = [0.01, 0.02]", "rates = [2000]", "`rates` must be between 0 and 1024, got 2000"),
        ('target = "host"', 'target = "moon"', "moon"),
        ("small.onnx", "large.onnx", "'large.onnx' does not exist (field `models.small.path`)"),
        ("[models.small]", "[models.small]\nhead = 3", "`head` must be fresh or keep, got 3"),
        ("[models.small]", "[models.small]\nstd = [0]", "`std` must be positive and finite"),
        (
            "[models.small]",
            "[models.small]\nresize = [6]",
            "`resize` is unknown here (field `models.small.resize`)",
        ),
        ('path = "noise.npz"', 'train = "noise.npz"', "either `path` or both"),
        ("[data.noise]", "[data]\nnoise = 3\n[data.other]", "'noise' is no table"),
        ("last-1", "lats-1", "'lats-1' is neither a preset nor a file"),
        ('last = "last-1"', 'last = { big = "head" }', "there is no model 'big'"),
        ('last = "last-1"', "last = 3", "a scheme is a preset or a path"),
        ("[schemes]", "[scheme]", "needs a table `[schemes]`"),
        ("[rules.shipped]", "[rules.shipped]\nseed = 3", "it comes from `seeds`"),
        ("[rules.shipped]", "[rules.shipped]\nbits = 3", "has no field `bits`"),
        (
            "[rules.shipped]",
            "[rules.shipped]\nfraction_bits = 3",
            "`fraction_bits` must be 0, 2, 4 or 8, got 3",
        ),
        (
            "[rules.shipped]",
            "[rules.shipped]\nfraction_bits = 2.0",
            "`fraction_bits` must be 0, 2, 4 or 8, got 2.0",
        ),
        (
            "[rules.shipped]",
            "[rules.shipped]\nmomentum = true",
            "`momentum` must be a number between 0 and 0.999, got True",
        ),
        (
            "[rules.shipped]",
            '[rules.shipped]\nengine = "d"',
            "`engine` must be c, float-masters or float, got 'd'",
        ),
        (
            '"cosine"',
            '"sine"',
            "`schedule` must be constant, step:EVERY:FACTOR, cosine:STEPS or settle, got 'sine'",
        ),
        ("[rules.shipped]", "[rules.shipped", "is no TOML"),
        pytest.param("steps = 30", "steps = " + "[" * 9999, "is no TOML", id="nested too deep"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, old: str, new: str, wanted: str) -> None:
    assert old in FILE
    with pytest.raises(UsageError) as caught:
        load(tmp_path, FILE.replace(old, new, 1))
    assert wanted in str(caught.value)
    assert "small.toml" in str(caught.value)


def test_an_engine_in_pytorch_takes_some_of_the_options(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    rule = '[rules.masters]\nengine = "float-masters"\nrates = 0.5\n'
    found = load(tmp_path, FILE + rule + "qas = false\nwarm_up = 3\n").rules[1]
    assert found.options == {"schedule": "cosine", "qas": False, "warm_up": 3}
    assert found.rates == (0.5,)
    with pytest.raises(UsageError, match="engine 'float-masters' has no field `fraction_bits`"):
        load(tmp_path, FILE + rule + "fraction_bits = 4\n")


def test_an_engine_in_pytorch_needs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match="engine 'float' needs PyTorch"):
        load(tmp_path, FILE + '[rules.float]\nengine = "float"\n')


def test_a_replay_buffer_is_used_unless_told_otherwise(tmp_path: Path) -> None:
    assert load(tmp_path, FILE).rules[0].replay_steps == 0
    assert load(tmp_path, FILE + "replay = 8\n").rules[0].replay_steps == 1
    assert load(tmp_path, FILE + "replay = 8\nreplay_steps = 3\n").rules[0].replay_steps == 3
    with pytest.raises(UsageError, match="no replay buffer"):
        load(tmp_path, FILE + "replay_steps = 3\n")


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        load_experiment(tmp_path / "no.toml")


def test_only_known_orders(tmp_path: Path) -> None:
    assert load(tmp_path, 'order = "by-class"\n' + FILE).order == "by-class"
    with pytest.raises(UsageError, match="`order` must be shuffled or by-class, got 'sorted'"):
        load(tmp_path, 'order = "sorted"\n' + FILE)


def test_a_rehearsal_set_needs_samples_of_before(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no samples for the rehearsal set of rule 'shipped'"):
        load(tmp_path, FILE + "rehearsal_slots = 8\n")
    with pytest.raises(UsageError, match="the rule has no rehearsal set"):
        load(tmp_path, FILE + "rehearsal_steps = 3\n")
    text = FILE.replace("[data.noise]\n", '[data.noise]\nrehearse = "small.onnx"\n')
    found = load(tmp_path, text + "rehearsal_slots = 8\n")
    assert found.rules[0].rehearsal_steps == 1
    assert tmp_path / "small.onnx" in found.data[0].files()


def test_a_rule_that_enrols_trains_no_scheme(tmp_path: Path) -> None:
    text = FILE + '[rules.mean]\nenrol = "ncm"\n'
    *trained, enrolled = load(tmp_path, text).groups()
    assert [runs[0].scheme for runs in trained] == ["last-1"]
    assert [run.title for run in enrolled] == [f"small/noise/none/mean/seed {s}" for s in (4, 5)]
    assert enrolled[0].scheme == "none" and enrolled[0].rule.options == {"enrol": "ncm"}
    # Each sample is enrolled once.
    assert enrolled[0].steps_for(24) == 24 and enrolled[0].steps_for(100) == 30


def test_without_anything_that_trains_no_scheme_is_needed(tmp_path: Path) -> None:
    text = FILE.replace("[rules.shipped]", '[rules.mean]\nenrol = "ncm"')
    text = text.replace('[schemes]\nlast = "last-1"\n', "").replace("rates = [0.01, 0.02]\n", "")
    ((first, second),) = load(tmp_path, text).groups()
    assert (first.seed, second.seed) == (4, 5)


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        ("[rules.shipped]", '[rules.mean]\nenrol = "ncm"\nrates = [1.0]', "has no learning rate"),
        ("[rules.shipped]", '[rules.mean]\nenrol = "ncm"\nreplay = 8', "is for what trains"),
        ("[rules.shipped]", '[rules.mean]\nenrol = "nearest"', "nearest"),
        ("[rules.shipped]", '[rules.m]\nenrol = "ncm"\nengine = "float"', "has no field `enrol`"),
        ('"last-1"', '"none"', "the scheme none trains nothing"),
        ("[data.noise]", "[data.noise]\nof_each_class = 0", "`of_each_class` must be between 1"),
    ],
)
def test_what_does_not_go_with_enrolment(tmp_path: Path, old: str, new: str, wanted: str) -> None:
    pytest.importorskip("torch")
    with pytest.raises(UsageError, match=re.escape(wanted)):
        load(tmp_path, FILE.replace(old, new))
