"""Options that make no sense: schemes, classes, budgets, targets, preprocessing."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.onnx_models import LAYERS, quantized_model
from tests.support.refusals import Refuse
from tinytrain import errors, resources
from tinytrain.cli import main

USAGE_ERROR, MODEL_ERROR, DATA_ERROR, SCHEME_ERROR, BUDGET_ERROR = 2, 3, 4, 5, 6

SCHEMES: dict[str, tuple[bytes, str]] = {
    "missing layer": (
        b"[weights]\nconv_7 = 1.0",
        "the model has no layer 'conv_7' with weights",
    ),
    "missing layer of a bias": (b'biases = ["conv_9"]', "the model has no layer 'conv_9'"),
    "the head": (b"[weights]\ndense_0 = 1.0", "'dense_0' is the head"),
    "no part": (b"[weights]\nconv_0 = 0", "conv_0 = 0 makes no sense"),
    "twice everything": (b"[weights]\nconv_0 = 2", "conv_0 = 2 makes no sense"),
    "less than nothing": (b"[weights]\nconv_0 = -0.5", "conv_0 = -0.5 makes no sense"),
    "nan": (b"[weights]\nconv_0 = nan", "conv_0 = nan makes no sense"),
    "true": (b"[weights]\nconv_0 = true", "conv_0 = True makes no sense"),
    "text": (b'[weights]\nconv_0 = "all"', "conv_0 = 'all' makes no sense"),
    "no channel": (b"[weights]\nconv_0 = { channels = [] }", "makes no sense"),
    "channel 3 of 3": (
        b"[weights]\nconv_0 = { channels = [0, 3] }",
        "layer 'conv_0' has no input channel 3",
    ),
    "true channel": (b"[weights]\nconv_0 = { channels = [true] }", "makes no sense"),
    "unknown field": (b"pace = 1", "unknown field 'pace'"),
    "unknown choice": (b'channels = "best"', "channels = 'best' is no way to choose"),
    "too many biases": (b"biases = 3", "'biases' asks for 3 layers, the model has 2 before"),
    "negative biases": (b"biases = -1", "'biases' asks for -1 layers"),
    "weights is no table": (b"weights = 3", "[weights] is not a table"),
    "rate of a frozen layer": (
        b"[weights]\nconv_1 = 1.0\n[rates]\nconv_0 = 0.5",
        "[rates] names 'conv_0', of which this scheme trains nothing",
    ),
    "rate of a missing layer": (b"[rates]\nconv_7 = 0.5", "the model has no layer 'conv_7'"),
    "rate 0": (b"[rates]\nhead = 0", "[rates] head = 0 makes no sense"),
    "rate nan": (b"[rates]\nhead = nan", "[rates] head = nan makes no sense"),
    "rate true": (b"[rates]\nhead = true", "[rates] head = True makes no sense"),
    "head twice": (b"[rates]\nhead = 2\ndense_0 = 3", "[rates] names the head twice"),
    "rates is no table": (b"rates = 3", "[rates] is not a table"),
    "no TOML": (b"biases 22", "the scheme is not a TOML file"),
    "binary": (b"\xff\xfe\x00\x80" * 9, "the scheme is not a TOML file"),
    "deep": (b"a = " + b"[" * 100_000, "the scheme is not a TOML file"),
}


@pytest.mark.parametrize("name", sorted(SCHEMES))
def test_scheme_file(name: str, model: Path, refuse: Refuse, tmp_path: Path) -> None:
    text, sentence = SCHEMES[name]
    path = tmp_path / "own.toml"
    path.write_bytes(text)
    told = refuse(SCHEME_ERROR, "compile", model, "-o", tmp_path / "out", "--scheme", path)
    assert sentence in told.split("\n")[0]


@pytest.mark.parametrize(
    ("scheme", "sentence"),
    [
        ("tail", "'tail' is neither a preset nor a scheme file"),
        ("last-", "'last-' is neither a preset nor a scheme file"),
        ("last-3", "preset 'last-K' asks for 3 layers, the model has 2 before its head"),
        ("last-" + "9" * 5000, "is neither a preset nor a scheme file"),
        (".", "'.' is neither a preset nor a scheme file"),
    ],
)
def test_scheme_preset(
    scheme: str, sentence: str, model: Path, refuse: Refuse, tmp_path: Path
) -> None:
    told = refuse(SCHEME_ERROR, "compile", model, "-o", tmp_path / "out", "--scheme", scheme)
    assert sentence in told.split("\n")[0]


def test_scheme_of_a_missing_layer_to_the_letter(
    model: Path, refuse: Refuse, tmp_path: Path
) -> None:
    path = tmp_path / "own.toml"
    path.write_text("[weights]\nconv_7 = 1.0\n")
    assert refuse(SCHEME_ERROR, "compile", model, "-o", tmp_path / "out", "--scheme", path) == (
        "the model has no layer 'conv_7' with weights\n"
        "  at: own.toml\n"
        f"  help: it has {LAYERS[0]} to {LAYERS[1]}; `tinytrain inspect MODEL` lists them"
    )


@pytest.mark.parametrize("classes", [0, 1, -3, 10**9])
def test_classes(classes: int, model: Path, refuse: Refuse, tmp_path: Path) -> None:
    told = refuse(USAGE_ERROR, "compile", model, "-o", tmp_path / "out", "--classes", classes)
    assert told == f"--classes must be between 2 and 65535, got {classes}"


def test_too_little_ram(model: Path, refuse: Refuse, tmp_path: Path) -> None:
    told = refuse(BUDGET_ERROR, "compile", model, "-o", tmp_path / "out", "--ram", 900)
    sentence, *rest = told.split("\n")
    assert re.fullmatch(
        r"[\d,]+ bytes of RAM are needed in the smallest plan, [\d,]+ more than the 900 of target "
        r"'host'",
        sentence,
    )
    for part in ("arena", "trained parameters", "other state", "stack"):
        assert any(re.fullmatch(rf" +[\d,]+  {part}", line) for line in rest), told
    peak = next(k for k, line in enumerate(rest) if "the arena peaks at" in line)
    assert re.fullmatch(r" +[\d,]+  \w+", rest[peak + 1])
    assert rest[-1].startswith("  help: ")


def test_too_many_replay_slots(model: Path, refuse: Refuse, tmp_path: Path) -> None:
    """The error says how many would fit, and so many do."""
    out = tmp_path / "out"
    arguments = ["compile", model, "-o", out, "--scheme", "head", "--ram", "40K", "--replay"]
    told = refuse(BUDGET_ERROR, *arguments, 9000)
    assert re.search(r"\n +[\d,]+  replay buffer\n", told)
    found = re.search(
        r"help: [\d,]+ replay slots fit \(--replay (\d+)\), or keep the 9,000 in flash "
        r"\(--replay-in flash\)$",
        told,
    )
    assert found is not None, told
    fit = int(found[1])
    assert fit > 100
    assert main([str(word) for word in (*arguments, fit, "--json")]) == 0
    shutil.rmtree(out)
    # Slots of seven bytes, and an alignment of up to 32 behind them.
    refuse(BUDGET_ERROR, *arguments, fit + 6)


def test_replay_slots_that_no_linker_places(refuse: Refuse, tmp_path: Path) -> None:
    model = quantized_model(tmp_path / "large.onnx", shape=(1, 3, 32, 32))
    arguments = ("compile", model, "-o", tmp_path / "out", "--target", "mps2-an385")
    told = refuse(BUDGET_ERROR, *arguments, "--replay", 65535)
    assert "for arena, trained parameters and replay slots alone" in told.split("\n")[0]
    found = re.search(r"help: [\d,]+ replay slots fit \(--replay (\d+)\), or keep", told)
    # 4 MiB hold about so many of 3,072 bytes.
    assert found is not None and 1330 < int(found[1]) < 4 * 2**20 / 3072
    refuse(USAGE_ERROR, *arguments, "--replay", 65536)
    refuse(USAGE_ERROR, *arguments, "--replay", -1)


def test_too_little_flash(model: Path, refuse: Refuse, tmp_path: Path) -> None:
    told = refuse(BUDGET_ERROR, "compile", model, "-o", tmp_path / "out", "--flash", "1K")
    assert re.match(
        r"[\d,]+ bytes of flash are needed, [\d,]+ more than the 1,024 of target 'host'\n", told
    )
    assert re.search(r"\n +[\d,]+  constants\n", told)


@pytest.mark.parametrize("size", ["0", "-5", "1.5K", "many", "1T", ""])
def test_size_that_is_none(size: str, model: Path, refuse: Refuse, tmp_path: Path) -> None:
    told = refuse(USAGE_ERROR, "compile", model, "-o", tmp_path / "out", f"--ram={size}")
    got = "0" if size == "0" else f"'{size}'"
    assert told == f"--ram must be a size such as 262144, 256K or 1M, got {got}"


OPTIONS: dict[str, tuple[list[str], str]] = {
    "rate": (
        ["--learning-rate", "nan"],
        "--learning-rate must be auto, race or between 0 and 1024, got nan",
    ),
    "negative rate": (
        ["--learning-rate", "-1"],
        "--learning-rate must be auto, race or between 0 and 1024, got -1",
    ),
    "keep": (["--keep", "both"], "--keep must be new or old, got 'both'"),
    "old task of a fresh head": (
        ["--keep", "old", "--classes", "3"],
        "--keep old has no old task to keep: --classes 3 replaces the classifier that knows it\n"
        "  help: leave out one of both",
    ),
    "weight headroom": (
        ["--weight-headroom", "0.5"],
        "--weight-headroom must be between 1 and 64, got 0.5\n  help: use 4 to 8 to train",
    ),
    "range headroom": (
        ["--range-headroom", "65"],
        "--range-headroom must be between 1 and 64, got 65",
    ),
    "seed": (["--seed", "-1"], "--seed must be between 0 and 2^32 - 1, got -1"),
    "schedule": (
        ["--schedule", "exponential"],
        "--schedule must be constant, step:EVERY:FACTOR, cosine:STEPS or settle, got 'exponential'",
    ),
    "schedule with half of it": (
        ["--schedule", "step:100"],
        "--schedule must be constant, step:EVERY:FACTOR, cosine:STEPS or settle, got 'step:100'",
    ),
    "schedule of no steps": (
        ["--schedule", "cosine:0"],
        "--schedule must have between 1 and 2147483647 steps, got 'cosine:0'",
    ),
    "schedule that rises": (
        ["--schedule", "step:9:2"],
        "--schedule must multiply by a factor above 0 and below 1, got 'step:9:2'",
    ),
    "schedule to nothing": (
        ["--schedule", "step:9:1e-60"],
        "--schedule must multiply by a factor above 0 and below 1, got 'step:9:1e-60'",
    ),
    "schedule of no number": (
        ["--schedule", "step:9:.."],
        "--schedule must be constant, step:EVERY:FACTOR, cosine:STEPS or settle, got 'step:9:..'",
    ),
    "cosine without its steps": (
        ["--schedule", "cosine"],
        "--schedule cosine lacks its numbers: cosine:STEPS\n  help: ",
    ),
    "rate limit of nothing": (
        ["--rate-limit", "0"],
        "--rate-limit 0 lets the device learn nothing\n  help: leave it out",
    ),
    "warm-up of no anomaly": (
        ["--anomaly-warm-up", "64"],
        "--anomaly-warm-up changes nothing, as --anomaly is not given\n"
        "  help: add --anomaly diagonal, or leave out --anomaly-warm-up",
    ),
    "an error that nothing lowers": (
        ["--anomaly", "error", "--scheme", "none", "--loss", "mean_squared_error"],
        "--anomaly error learns what is normal by training on it, and the scheme none trains "
        "nothing\n  help: train --scheme head or more, or use --anomaly diagonal",
    ),
    "quantile of no anomaly": (
        ["--anomaly-quantile", "0.9"],
        "--anomaly-quantile changes nothing, as --anomaly is not given",
    ),
    "place of no replay": (
        ["--replay-in", "flash"],
        "--replay-in changes nothing, as --replay is not given",
    ),
    "warm-up": (["--warm-up", "-1"], "--warm-up must be between 0 and 2^31 - 1, got -1"),
    "no norm": (
        ["--no-qas", "--clip-norm", "1"],
        "--clip-norm needs quantization-aware scaling, which --no-qas leaves out",
    ),
    "smoothing": (
        ["--label-smoothing", "1"],
        "--label-smoothing must be at least 0 and below 1, got 1\n  help: 0.1 is common",
    ),
    "smoothing that rounds to 1": (
        ["--label-smoothing", "0.99999999999"],
        "--label-smoothing must be at least 0 and below 1, got 1",
    ),
    "smoothing nan": (
        ["--label-smoothing", "nan"],
        "--label-smoothing must be at least 0 and below 1, got nan",
    ),
    "smoothing of a regression": (
        ["--label-smoothing", "0.1", "--loss", "mean_squared_error"],
        "the loss 'mean_squared_error' has no labels to smooth",
    ),
    "target": (["--target", "mps2-an50"], "there is no target 'mps2-an50'; did you mean"),
    "no target": (["--target", ""], "there is no target ''"),
    "target file": (["--target", "none.toml"], "the target file cannot be read"),
    "mean": (["--mean", "0.5", "0.5"], "the preprocessing has 2 means and 1 stds, but the model"),
    "std": (
        ["--std", "0"],
        "--std must be positive and finite, one for all channels or one for each, got 0",
    ),
}


@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_option(name: str, model: Path, refuse: Refuse, tmp_path: Path) -> None:
    options, sentence = OPTIONS[name]
    told = refuse(USAGE_ERROR, "compile", model, "-o", tmp_path / "out", *options)
    assert told.startswith(sentence)


@pytest.mark.parametrize(
    "change",
    [
        ("[budget]", "[budgets]"),
        ("ram =", "rams ="),
        ('isa = "', 'isa = "x'),
        ("compiler =", "compiler = 3 #"),
        ("flash =", "flash = -1 #"),
        ("description =", "description = \x00"),
    ],
)
def test_target_file(change: tuple[str, str], model: Path, refuse: Refuse, tmp_path: Path) -> None:
    text = (resources.folder("targets") / "mps2-an500" / "target.toml").read_text()
    assert change[0] in text
    path = tmp_path / "own.toml"
    path.write_text(text.replace(change[0], change[1], 1))
    told = refuse(USAGE_ERROR, "compile", model, "-o", tmp_path / "out", "--target", path)
    assert told.startswith(("the target is not complete or not valid", "the target file is not"))
    assert f"  at: {path}" in told


def test_target_that_is_too_small(refuse: Refuse, model: Path, tmp_path: Path) -> None:
    text = (resources.folder("targets") / "mps2-an500" / "target.toml").read_text()
    small = re.sub(r"(ram|flash) = (\{ origin = \w+, length = )\w+", r"\1 = \g<2>1024", text)
    small = re.sub(r"(?m)^(ram|flash) = \d.*$", r"\1 = 1024", small)
    path = tmp_path / "tiny.toml"
    path.write_text(small)
    told = refuse(BUDGET_ERROR, "compile", model, "-o", tmp_path / "out", "--target", path)
    assert re.match(r"[\d,]+ bytes of RAM are needed in the smallest plan, [\d,]+ more than", told)


def test_dump_folder_that_is_a_file(model: Path, refuse: Refuse, tmp_path: Path) -> None:
    (tmp_path / "dump").write_text("mine")
    told = refuse(
        USAGE_ERROR, "compile", model, "-o", tmp_path / "out", "--dump-ir", tmp_path / "dump"
    )
    assert told.startswith("the folder for dumps cannot be made: File exists")


def test_help_tells_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = capsys.readouterr().out
    for error in vars(errors).values():
        if isinstance(error, type) and issubclass(error, errors.TinytrainError):
            assert re.search(rf"\n  {error.exit_code} .*", shown), error
            if error is not errors.TinytrainError:
                assert f"({error.__name__})" in shown


def test_reader_that_leaves(tmp_path: Path) -> None:
    """`tinytrain targets | head -1` ends quietly."""
    command = f"{sys.executable} -m tinytrain.cli targets | head -c 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, check=False)
    assert done.stderr == b""
    assert done.returncode in (0, 141)
