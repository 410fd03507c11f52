"""Experiments from the command line: tables, what is done twice and what is not, failures."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from tests.support.experiments import FILE, TEST, TRAIN, files_of, write_experiment
from tests.support.imported import shared_model
from tests.support.paths import ROOT, SCHEMES, SHARED
from tinytrain import load
from tinytrain.cli import main
from tinytrain.compiler.compile import compile_model
from tinytrain.errors import RunError
from tinytrain.experiments.toml_file import load_experiment
from tinytrain.experiments.worker import run_to_record
from tinytrain.simulation.session import simulate
from tinytrain.simulation.stream import training_order


def run(file: Path, output: Path, *arguments: str) -> int:
    """The command, with what it prepares beside its results."""
    cache = output.parent / "cache"
    words = ["experiment", str(file), "-o", str(output), "--cache", str(cache), "--workers", "1"]
    return main([*words, *arguments])


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an experiment that was run."""
    folder = tmp_path_factory.mktemp("experiment")
    assert run(write_experiment(folder), folder / "results") == 0
    return folder


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "results.csv").open() as file:
        return list(csv.DictReader(file))


def test_the_other_seeds_take_the_best_rate_of_the_first(done: Path) -> None:
    rows = rows_of(done / "results")
    ends = {(row["rate"], row["seed"]): row for row in rows if row["step"] == "30"}
    first = {rate: ends[rate, "4"] for rate in ("0.01", "0.02")}
    best = min(
        first, key=lambda rate: (-float(first[rate]["accuracy"]), float(first[rate]["loss"]))
    )
    assert set(ends) == {("0.01", "4"), ("0.02", "4"), (best, "5")}
    assert {(row["rate"], row["chosen"]) for row in rows} == {
        (rate, str(int(rate == best))) for rate in first
    }
    assert [row["step"] for row in rows if row["seed"] == "5"] == ["0", "10", "20", "30"]
    assert all(len(row["weights_sha256"]) == 64 for row in ends.values())
    text = (done / "results" / "results.md").read_text()
    assert "tinytrain experiment small.toml" in text
    assert f"| last | shipped | {best} |" in text
    accuracies = [100 * float(ends[best, seed]["accuracy"]) for seed in ("4", "5")]
    assert f"{np.mean(accuracies):.1f} ± {np.std(accuracies, ddof=1):.1f}" in text
    assert str(done) not in text


def test_weights_are_those_of_simulate(done: Path, tmp_path: Path) -> None:
    """The same run by hand, with the commands of a user."""
    (end,) = (
        row
        for row in rows_of(done / "results")
        if (row["rate"], row["seed"], row["step"]) == ("0.01", "4", "30")
    )
    arrays = np.load(done / "noise.npz")
    np.savez(tmp_path / "train.npz", x=arrays["x_train"], y=arrays["y_train"])
    np.savez(tmp_path / "test.npz", x=arrays["x_test"], y=arrays["y_test"])
    product = compile_model(
        done / "small.onnx",
        output=tmp_path / "model",
        calibration=tmp_path / "train.npz",
        mean=0.0,
        scheme="last-1",
        classes=3,
        learning_rate=0.01,
        schedule="cosine:30",
        seed=4,
    )
    result = simulate(
        product.directory,
        data=tmp_path / "train.npz",
        eval=tmp_path / "test.npz",
        steps=30,
        seed=4,
    )
    assert result.weights_sha256 == end["weights_sha256"]
    assert f"{result.accuracy_after:.6f}" == end["accuracy"]
    assert (len(arrays["y_train"]), len(arrays["y_test"])) == (TRAIN, TEST)
    text = (done / "results" / "results.md").read_text()
    assert f"| {product.memory.ram['total']:,} |" in text


def test_what_is_done_is_not_repeated(done: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {file: file.stat().st_mtime_ns for file in (done / "results").rglob("*.json")}
    text = files_of(done / "results")
    victim = next(
        file for file in before if json.loads(file.read_text())["title"].endswith("seed 5")
    )
    victim.unlink()
    capsys.readouterr()
    assert run(done / "small.toml", done / "results") == 0
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("1/1 small/noise/last/shipped/rate 0.0")
    after = {file: file.stat().st_mtime_ns for file in (done / "results").rglob("*.json")}
    assert {file for file in before if before[file] != after[file]} == {victim}
    assert files_of(done / "results") == text


def test_the_same_file_gives_the_same_bytes(done: Path, tmp_path: Path) -> None:
    file = write_experiment(tmp_path)
    assert run(file, tmp_path / "results") == 0
    assert files_of(tmp_path / "results") == files_of(done / "results")


def test_a_dry_run_lists_and_does_nothing(
    done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    group = "small/noise/last/shipped"
    assert run(done / "small.toml", tmp_path / "none", "--dry-run") == 0
    assert capsys.readouterr().out.splitlines() == [
        f"to do    {group}: bytes on host",
        f"to do    {group}/rate 0.01/seed 4",
        f"to do    {group}/rate 0.02/seed 4",
        f"to do at the best rate {group}/seed 5",
    ]
    assert list(tmp_path.iterdir()) == []
    assert run(done / "small.toml", done / "results", "--dry-run") == 0
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) == 4 and all(line.startswith("done ") for line in shown)
    assert run(done / "small.toml", done / "results", "--dry-run", "--only", "rate 0.02/") == 0
    assert f"done     {group}/rate 0.02/seed 4" in capsys.readouterr().out
    assert run(done / "small.toml", done / "results", "--only", "nothing") == 2
    assert "no run's title matches 'nothing'" in capsys.readouterr().err


def test_a_run_that_fails_is_told_and_the_others_are_done(
    done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = FILE.replace('last = "last-1"', 'last = "last-1"\nwrong = "wrong.toml"')
    (tmp_path / "wrong.toml").write_text('biases = ["no_such_layer"]\n')
    file = write_experiment(tmp_path, text)
    assert run(file, tmp_path / "results", "--only", "seed 4") == RunError.exit_code
    shown = capsys.readouterr()
    # The bytes of the scheme, and each rate of the first seed.
    assert "error: 3 of the experiment's jobs failed" in shown.err
    assert "no_such_layer" in shown.err and "Traceback" not in shown.err
    assert {row["scheme"] for row in rows_of(tmp_path / "results")} == {"last"}
    table = (tmp_path / "results" / "results.md").read_text()
    assert "| wrong | shipped | - | - |" in table and "## Failed" in table


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["--workers", "0"], "--workers must be ray, ray://HOST:PORT or between 1 and 1024, got 0"),
        (["--only", "("], "no regular expression"),
    ],
)
def test_options_that_make_no_sense(
    done: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    wanted: str,
) -> None:
    assert run(done / "small.toml", tmp_path / "results", *arguments) == 2
    assert wanted in capsys.readouterr().err


@pytest.mark.slow
def test_the_example(tmp_path: Path) -> None:
    from examples.experiments.digits import write

    text = (ROOT / "examples" / "experiments" / "digits.toml").read_text()
    text = text.replace("../../build/experiments", str(tmp_path))
    text = text.replace("../digits", str(ROOT / "examples" / "digits"))
    (tmp_path / "digits.toml").write_text(text)
    write(tmp_path / "digits.npz")
    titles = "last-6/shipped/rate 0.01/seed 0"
    assert run(tmp_path / "digits.toml", tmp_path / "results", "--only", titles) == 0
    first, *_, last = rows_of(tmp_path / "results")
    assert float(first["accuracy"]) < 0.5 and float(last["accuracy"]) > 0.8
    table = (tmp_path / "results" / "results.md").read_text()
    (line,) = (
        line for line in table.splitlines() if line.startswith("| last-6 | shipped | 0.01 | ")
    )
    assert int(line.split("|")[-2].replace(",", "")) > 500_000


def test_a_real_network(tmp_path: Path) -> None:
    model = shared_model("mcunet-5fps-int8.onnx")
    data = SHARED / "data" / "cifar10.npz"
    if not data.is_file():
        pytest.skip("../shared/data/cifar10.npz is missing")
    scheme = SCHEMES / "mcunet-5fps-100kb.toml"
    file = tmp_path / "cifar.toml"
    file.write_text(
        f"steps = 40\nevaluations = 1\nrates = [0.0015625]\ntrain_limit = 32\ntest_limit = 8\n"
        f'[models.mcunet]\npath = "{model}"\nmean = [0.5]\nstd = [0.5]\n'
        f'[data.cifar10]\npath = "{data}"\n[schemes]\nsparse = "{scheme}"\n[rules.shipped]\n'
    )
    experiment = load_experiment(file)
    ((wanted,),) = experiment.groups()
    record = run_to_record(wanted, experiment.target, tmp_path / "cache", lambda *_: None)
    arrays = np.load(data)
    chosen = np.linspace(0, len(arrays["y_train"]) - 1, 32).astype(int)
    np.savez(tmp_path / "train.npz", x=arrays["x_train"][chosen], y=arrays["y_train"][chosen])
    product = compile_model(
        model,
        output=tmp_path / "model",
        target="host",
        calibration=tmp_path / "train.npz",
        mean=0.5,
        std=0.5,
        scheme=str(scheme),
        classes=10,
        learning_rate=0.0015625,
    )
    result = simulate(product.directory, data=tmp_path / "train.npz", steps=40)
    assert result.weights_sha256 == record["weights_sha256"]
    assert record["curve"][-1]["train_loss"] == pytest.approx(np.mean(result.losses), abs=1e-6)
    # What frozen layers give takes 12,800 bytes a sample, whatever the arena looks like.
    sizes = sorted(file.stat().st_size for file in (tmp_path / "cache").glob("frozen-*.bin"))
    assert sizes == [8 * 12_800, 32 * 12_800]


def test_rows_that_are_fed_and_slots_in_flash_change_no_weight(tmp_path: Path) -> None:
    rules = (
        '[rules.ram]\nreplay = 5\n[rules.flash]\nreplay = 5\nreplay_in = "flash"\nfeed = "rows"\n'
    )
    text = FILE.replace("[rules.shipped]\n", rules).replace("steps = 30", "steps = 12")
    experiment = load_experiment(write_experiment(tmp_path, text))
    found = {}
    for run in (group[0] for group in experiment.groups()):
        record = run_to_record(run, experiment.target, tmp_path / "cache", lambda *_: None)
        found[run.rule.name] = record["weights_sha256"], record["curve"]
    assert found["ram"] == found["flash"]


def test_a_rehearsal_set_trains_beside_the_samples(tmp_path: Path) -> None:
    rules = "[rules.plain]\n[rules.kept]\nrehearsal_slots = 6\nrehearsal_steps = 2\n"
    text = FILE.replace("[rules.shipped]\n", rules).replace("steps = 30", "steps = 12")
    text = text.replace("[data.noise]\n", '[data.noise]\nrehearse = "old.npz"\n')
    file = write_experiment(tmp_path, text)
    with np.load(tmp_path / "noise.npz") as held:
        np.savez(tmp_path / "old.npz", x=held["x_test"], y=held["y_test"])
    experiment = load_experiment(file)
    found = {}
    for run in (group[0] for group in experiment.groups()):
        record = run_to_record(run, experiment.target, tmp_path / "cache", lambda *_: None)
        found[run.rule.name] = record["weights_sha256"]
    assert found["plain"] != found["kept"]


@pytest.mark.slow
def test_enrolment_stands_beside_training(tmp_path: Path) -> None:
    """The digits' network learns a knocked camera from few labels, as on a device."""
    from examples.experiments.digits import write, write_old

    text = (ROOT / "examples" / "experiments" / "handful.toml").read_text()
    text = text.replace("../../build/experiments", str(tmp_path))
    text = text.replace("../digits", str(ROOT / "examples" / "digits"))
    text = text.replace("steps = 1000", "steps = 100").replace("instructions = true\n", "")
    text = text.replace("[rules.rehearsed]\nrehearsal_slots = 64\n", "")
    text += f'[data.bare]\npath = "{tmp_path}/digits.npz"\nof_each_class = 5\n'
    (tmp_path / "handful.toml").write_text(text)
    write(tmp_path / "digits.npz")
    write_old(tmp_path / "digits-before.npz", tmp_path / "digits-straight.npz")
    titles = "(few/(head/trained/rate 0.01|none/class mean)|bare/none/class mean)/seed 0"
    assert run(tmp_path / "handful.toml", tmp_path / "results", "--only", titles) == 0
    rows = rows_of(tmp_path / "results")
    mean, bare = (
        [row for row in rows if (row["rule"], row["data"]) == ("class mean", data)]
        for data in ("few", "bare")
    )
    assert [int(row["step"]) for row in mean] == [0, 10, 20, 30, 40, 50]
    assert {(row["scheme"], row["rate"], row["loss"]) for row in mean} == {("none", "", "")}
    # Before anything is enrolled, the prototypes of the old world tell.
    assert float(mean[0]["accuracy"]) > 0.35 and float(mean[0]["accuracy_old"]) > 0.9

    # Without samples of before nothing is known at first, and it is what a device does.
    assert float(bare[0]["accuracy"]) == 0
    learn = np.load(tmp_path / "digits.npz")
    index = np.linspace(0, len(learn["y_train"]) - 1, 256).astype(int)
    product = compile_model(
        ROOT / "examples" / "digits" / "digits.onnx",
        output=tmp_path / "own",
        calibration=learn["x_train"][index],
        scheme="none",
        enrol="ncm",
    )
    of_each = [np.flatnonzero(learn["y_train"] == label) for label in range(10)]
    few = np.concatenate([of[np.linspace(0, len(of) - 1, 5).astype(int)] for of in of_each])
    with load(product.directory) as device:
        order = few[training_order(len(few), len(few), 0)]
        device.enrol(learn["x_train"][order], learn["y_train"][order])
        found = np.mean(device.classify(learn["x_test"]).labels == learn["y_test"])
    assert float(bare[-1]["accuracy"]) == pytest.approx(found, abs=1e-6)

    table = (tmp_path / "results" / "results.md").read_text()
    assert "each is enrolled once" in table
    (head,) = (line for line in table.splitlines() if line.startswith("| head | trained |"))
    row, _ = (line for line in table.splitlines() if line.startswith("| none | class mean |"))
    cells, other = row.split(" | "), head.split(" | ")
    # Rate and loss, then the bytes that are trained, enrolled and of flash.
    assert cells[2] == cells[6] == "-" and other[2] == "0.01"
    assert cells[9] == "0" and int(cells[10].replace(",", "")) > 1000 and other[10] == "-"
    assert int(cells[11].replace(",", "")) > 30_000
