"""Settings that are known to fail are called so, on networks that do fail with them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from examples.digits import data
from examples.digits.story import MODEL
from tests.support.paths import SHARED_MODELS
from tinytrain.cli import main
from tinytrain.compiler.compile import compile_model
from tinytrain.compiler.folder import Product
from tinytrain.errors import UsageError
from tinytrain.simulation.session import simulate

RESNET8 = SHARED_MODELS / "resnet8_int8.tflite"


def inspected(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[dict, list[str]]:
    """The training part of `inspect --json`, and its warnings as they are printed."""
    capsys.readouterr()
    assert main(["inspect", *map(str, arguments), "--json"]) == 0
    shown = capsys.readouterr()
    printed = [line.removeprefix("warning: ") for line in shown.err.splitlines()]
    training = json.loads(shown.out)["training"]
    assert printed == training["warnings"]
    return training, printed


def digits(samples: Path | np.ndarray, output: Path, **options: object) -> Product:
    return compile_model(MODEL, output=output, calibration=samples, scheme="full", **options)


def learned(product: Product, learn: Path, judge: Path, rate: float | None = None) -> float:
    result = simulate(product.directory, data=learn, eval=judge, steps=1000, learning_rate=rate)
    assert result.accuracy_after is not None
    return result.accuracy_after


def test_one_sample_says_nothing_of_how_samples_differ(tmp_path: Path) -> None:
    alone = data.as_trained(slice(0, 1)).x
    for count in (1, 5):
        product = digits(np.repeat(alone, count, 0), tmp_path / "out")
        assert product.manifest.warnings == () and product.manifest.guidance.contrast == 1


def test_the_suggested_rate_learns_and_one_far_above_the_limit_does_not(
    samples: Path, learn: Path, judge: Path, tmp_path: Path
) -> None:
    product = digits(samples, tmp_path / "out")
    manifest = product.manifest
    guidance = manifest.guidance
    assert manifest.options["rate"] is None
    assert manifest.learning_rate == guidance.suggested_rate == product.compiled.rate
    assert guidance.measured_on == "calibration samples" and guidance.samples == 7
    assert guidance.rate_limit == pytest.approx(4 / guidance.kernel, rel=0.05)
    assert guidance.contrast > 0.7
    assert manifest.warnings == ()
    assert learned(product, learn, judge) > 0.85
    far = 4 * guidance.rate_limit
    assert manifest.rate_limit == guidance.rate_limit < far
    with pytest.raises(UsageError, match=f"compile with rate_limit={far:g}"):
        learned(product, learn, judge, far)
    free = digits(samples, tmp_path / "free", rate_limit=1024)
    assert learned(free, learn, judge, far) < 0.2


def test_a_scheme_that_asks_for_more_than_is_suggested(
    samples: Path, learn: Path, judge: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It was found so: the device takes the rate, and nobody is warned of it."""
    made = {}
    for factor in (1, 2, 8):
        file = tmp_path / f"x{factor}.toml"
        file.write_text(f'biases = "all"\nrate = {factor}\n', encoding="utf-8")
        output = tmp_path / f"x{factor}"
        made[factor] = compile_model(MODEL, output=output, calibration=samples, scheme=file)
        training, warnings = inspected(capsys, MODEL, "--calibration", samples, "--scheme", file)
        assert warnings == [] and made[factor].manifest.warnings == ()
        assert training["suggested_rate"] == made[factor].manifest.learning_rate
    plain, twice, most = (made[factor].manifest for factor in (1, 2, 8))
    assert twice.learning_rate == pytest.approx(2 * plain.learning_rate, rel=0.06)
    assert most.learning_rate == pytest.approx(8 * plain.learning_rate, rel=0.06)
    assert most.rate_limit == most.learning_rate > plain.rate_limit
    assert learned(made[2], learn, judge) > 0.7
    own = compile_model(
        MODEL, output=tmp_path / "own", calibration=samples, scheme=tmp_path / "x8.toml",
        learning_rate=0.001,
    )  # fmt: skip
    assert own.manifest.learning_rate == 0.001


def test_a_rate_above_the_limit(samples: Path, capsys: pytest.CaptureFixture[str]) -> None:
    training, warnings = inspected(
        capsys, MODEL, "--calibration", samples, "--learning-rate", "0.5"
    )
    assert warnings == [
        f"learning rate 0.5 is above {training['rate_limit']:g}, from where on a step overshoots "
        "the error of its own sample and training may diverge; "
        f"{training['suggested_rate']:g} is suggested"
    ]


def test_compile_warns_the_same_and_records_it(
    samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--calibration", str(samples), "--learning-rate", "0.5"]
    _, warnings = inspected(capsys, MODEL, *options)
    assert main(["compile", str(MODEL), "-o", str(tmp_path / "out"), *options]) == 0
    shown = capsys.readouterr()
    assert f"warning: {warnings[0]}\n" in shown.err
    assert "is suggested (measured on 7" in shown.out
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["warnings"] == warnings
    assert manifest["learning_rate"] == 0.5
    # It was said twice what that means: the device takes it.
    assert manifest["rate_limit"] == 0.5


def test_momentum_without_a_lower_rate(samples: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain = [MODEL, "--calibration", samples, "--schedule", "constant"]
    options = [*plain, "--learning-rate", "0.01"]
    assert inspected(capsys, *options)[1] == []
    training, warnings = inspected(capsys, *options, "--momentum", "0.9")
    assert warnings == [
        f"learning rate 0.01 is above {training['rate_limit']:g}, from where on training may "
        "diverge, because momentum 0.9 makes steps 10 times as long; "
        f"{training['suggested_rate']:g} is suggested"
    ]
    suggested = inspected(capsys, *plain, "--momentum", "0.9")
    assert suggested[1] == []
    assert suggested[0]["learning_rate"] == training["suggested_rate"] < 0.001


SMALL = {"learning_rate": 0.0003, "fraction_bits": 0}


def test_updates_that_are_lost(samples: Path, capsys: pytest.CaptureFixture[str]) -> None:
    setting = [
        "--calibration",
        samples,
        "--learning-rate",
        SMALL["learning_rate"],
        "--fraction-bits",
        "0",
    ]
    assert inspected(capsys, MODEL, *setting)[1] == []
    (warning,) = inspected(capsys, MODEL, *setting, "--update", "nearest")[1]
    assert re.fullmatch(
        r"9\d% of the gradient is lost at learning rate 0\.0003, as nearest rounding with 0 "
        r"fraction bits drops updates below half a unit: take stochastic rounding or more "
        r"fraction bits",
        warning,
    )


@pytest.mark.slow
def test_where_updates_are_lost_little_is_learned(
    samples: Path, learn: Path, judge: Path, tmp_path: Path
) -> None:
    found = {
        rule: learned(digits(samples, tmp_path / rule, update=rule, **SMALL), learn, judge)
        for rule in ("nearest", "stochastic")
    }
    assert found["stochastic"] > found["nearest"] + 0.1, found


def deep(samples: Path, output: Path) -> Product:
    """As PyTorch initialises convolutions, a map's variance falls to a third with each layer."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for channels in (1, 12, 12, 12, 12, 12):
        layers += [nn.Conv2d(channels, 12, 3, padding=1), nn.ReLU()]
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, data.CLASSES)]
    example = torch.zeros(1, *data.SHAPE)
    return compile_model(nn.Sequential(*layers).eval(), example, output=output, calibration=samples)


def test_a_deep_network_without_normalisation_from_random_weights(
    samples: Path, tmp_path: Path
) -> None:
    product = deep(samples, tmp_path / "out")
    (warning,) = product.manifest.warnings
    assert re.fullmatch(
        r"only [0-9.]+% of what the head reads differs between samples, which is known not to "
        r"learn, as in a deep network without normalisation from random weights: train or "
        r"initialise it better \(He et al\. 2015\), or prepare the samples as it expects them",
        warning,
    )
    assert product.manifest.guidance.contrast < 0.1
    assert product.compiled.rate == 0.01


@pytest.mark.slow
def test_a_deep_network_from_random_weights_does_not_learn(
    samples: Path, judge: Path, tmp_path: Path
) -> None:
    assert learned(deep(samples, tmp_path / "out"), samples, judge) < 0.2


@pytest.mark.skipif(not RESNET8.is_file(), reason="../shared/models is missing")
def test_one_layer_that_bounds_the_rate_of_all(capsys: pytest.CaptureFixture[str]) -> None:
    """This model reads raw pixels, up to 255, so that its first layer moves most."""
    training, warnings = inspected(capsys, RESNET8, "--scheme", "full")
    assert training["measured_on"] == "noise"
    assert training["trained"]["conv_0"]["share"] > 0.9
    (warning,) = warnings
    assert re.fullmatch(
        r"layer 'conv_0' alone keeps the suggested learning rate at [0-9.e-]+; the others could "
        r"take [0-9.e-]+: leave 'conv_0' out of the scheme, or give it a smaller rate of its own "
        r"in \[rates\]",
        warning,
    )


def test_inspect_shows_what_a_scheme_trains(
    samples: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", str(MODEL), "--calibration", str(samples), "--scheme", "last-1"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"trained layer .* share of K", shown)
    assert re.search(r"conv_15 +│ all +│ yes +│ +\d+\.\d%", shown)
    assert re.search(r"learning rate │ 0\.\d+, as suggested \(measured on 7 calibration", shown)


def test_inspect_without_a_setting_measures_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(MODEL), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["training"] is None


def test_what_is_no_rate(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compile", "m.onnx", "-o", "out", "--learning-rate", "fast"]) == 2
    told = capsys.readouterr().err
    assert "--learning-rate must be auto, race or a number between 0 and 1024, got 'fast'" in told
