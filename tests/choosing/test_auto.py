"""`--scheme auto`: what is worth most within a budget, from Python and from the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from examples.digits import data as digits
from tests.support.imported import shared_model
from tests.support.paths import ROOT
from tests.support.real_models import FILES
from tinytrain import compile_model, inspect, verify
from tinytrain.choosing.interference import OF_HEAD, RATE
from tinytrain.cli import main
from tinytrain.compiler.auto_scheme import ROUNDS, WORK, _Asked
from tinytrain.compiler.budget import Budget
from tinytrain.compiler.first_that_fits import first_that_fits
from tinytrain.compiler.folder import Product
from tinytrain.errors import BudgetError, DataError, SchemeError, UsageError
from tinytrain.manifest import read_manifest
from tinytrain.manifest.choice import ChoiceRecord, LayerChoiceRecord
from tinytrain.scheme.scheme import Scheme
from tinytrain.scheme.text import scheme_text

MODEL = ROOT / "examples" / "digits" / "digits.onnx"
TARGET = "mps2-an500"
RAM = 12_000


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    images = digits.as_it_is_now(digits.ADAPT)
    path = tmp_path_factory.mktemp("samples") / "labelled.npz"
    np.savez(path, x=images.x, y=images.y)
    return path


@pytest.fixture(scope="module")
def compiled(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Product:
    return compile_model(
        MODEL, output=tmp_path_factory.mktemp("auto") / "out", target=TARGET, ram=RAM,
        calibration=str(samples), scheme="auto",
    )  # fmt: skip


def test_it_fits_and_says_what_it_chose(compiled: Product) -> None:
    manifest = read_manifest(compiled.directory)
    choice = manifest.choice
    assert choice is not None and manifest.ram["total"] <= RAM == manifest.budget.ram
    assert manifest.ram["total"] > 0.95 * RAM, "the budget is used"
    assert choice.samples == 64 and 0 < choice.value <= choice.bound <= 1
    assert choice.bound - choice.value < 0.2
    for layer in choice.layers:
        trained = manifest.trained.get(layer.layer)
        channels = () if trained is None else trained.channels or ()
        assert layer.bias == (trained is not None and trained.bias)
        assert 0 < layer.bias_value < layer.value < 1
        assert (layer.ram > 0) == (layer.channels > 0) == bool(channels)
        if isinstance(channels, tuple):
            assert len(channels) % max(layer.channels, 1) == 0, "of depthwise layers rows"
    assert any(isinstance(one.channels, tuple) for one in manifest.trained.values())


def test_a_scheme_file_of_it_trains_the_same(
    compiled: Product, samples: Path, tmp_path: Path
) -> None:
    """Its text, given as a file, comes to the same model."""
    path = tmp_path / "found.toml"
    path.write_text(scheme_text(compiled.compiled.scheme), encoding="utf-8")
    report = inspect(MODEL, calibration=str(samples), scheme=str(path))
    assert report.training is not None
    found = {
        layer: (one["bias"], one["channels"]) for layer, one in report.training.trained.items()
    }
    assert found == {
        layer: (one.bias, list(one.channels) if isinstance(one.channels, tuple) else one.channels)
        for layer, one in compiled.manifest.trained.items()
    }


def test_a_fresh_head_learns_faster_than_the_other_layers(samples: Path, tmp_path: Path) -> None:
    product = compile_model(
        MODEL, output=tmp_path / "out", target=TARGET, ram=RAM, calibration=str(samples),
        scheme="auto", classes=10,
    )  # fmt: skip
    scheme, choice = product.compiled.scheme, product.manifest.choice
    *_, head = product.manifest.trained
    assert scheme.biases and (scheme.rate, scheme.rates) == (RATE, {head: OF_HEAD})
    assert choice is not None and (choice.rate, choice.head_rate) == (RATE, OF_HEAD)
    path = tmp_path / "found.toml"
    path.write_text(scheme_text(scheme), encoding="utf-8")
    found = inspect(MODEL, calibration=str(samples), scheme=str(path), classes=10).training
    assert found is not None and found.rate == product.manifest.learning_rate
    alone = compile_model(
        MODEL, output=tmp_path / "head", target=TARGET, ram=6044, calibration=str(samples),
        scheme="auto", classes=10,
    )  # fmt: skip
    assert alone.compiled.scheme == Scheme("auto", choice="fisher"), "the head alone has one rate"
    assert alone.manifest.choice is not None
    assert "0.0% of what the best set without a budget is worth" in alone.manifest.choice.sentence()


@pytest.mark.parametrize("options", [{"feed": "rows"}, {"optimizer": "adam"}])
def test_a_fresh_head_beside_other_options(
    samples: Path, tmp_path: Path, options: dict[str, Any]
) -> None:
    """The layer that rows are fed to cannot train; the steps of Adam go by no gradient's size."""
    product = compile_model(
        MODEL, output=tmp_path / "out", target=TARGET, ram=2 * RAM, calibration=str(samples),
        scheme="auto", classes=10, **options,
    )  # fmt: skip
    choice = product.manifest.choice
    assert choice is not None and product.compiled.scheme.biases
    assert choice.fresh_head == ("feed" in options) == (choice.rate == RATE)
    if choice.fresh_head:
        assert choice.layers[0].value == 0.0 < choice.value


def test_the_c_equals_the_reference(compiled: Product, samples: Path) -> None:
    verify(compiled.directory, source=str(MODEL), calibration=str(samples))


@pytest.mark.slow
def test_the_command_line_shows_it(
    samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], compiled: Product
) -> None:
    words = ["compile", str(MODEL), "-o", str(tmp_path / "out"), "--target", TARGET]
    words += ["--ram", str(RAM), "--scheme", "auto", "--calibration", str(samples)]
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert "share of value" in shown and "channels that train" in shown
    assert "by the gradients of 64 labelled samples" in " ".join(shown.replace("│", " ").split())
    assert read_manifest(tmp_path / "out").text() == compiled.manifest.text(), "the same bytes"
    assert main(["report", str(tmp_path / "out"), "--json"]) == 0
    held = json.loads(capsys.readouterr().out)
    assert held["choice"]["samples"] == 64
    page = Path(held["page"]).read_text()
    assert "What trains, and why" in page and 'id="choice"' in page


@pytest.mark.parametrize(
    ("calibration", "error", "what"),
    [
        (lambda held: held["x"], DataError, "scheme='auto' needs labelled samples"),
        (lambda held: (held["x"], held["y"] + 1), DataError, "label 10 of sample"),
    ],
)
def test_what_it_cannot_do_without(
    samples: Path, tmp_path: Path, calibration: Any, error: type[Exception], what: str
) -> None:
    with np.load(samples) as held, pytest.raises(error, match=what) as caught:
        compile_model(
            MODEL, output=tmp_path / "out", target=TARGET, calibration=calibration(held),
            scheme="auto",
        )  # fmt: skip
    assert "name a preset or a scheme file" in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_where_nothing_fits_the_least_is_named(samples: Path, tmp_path: Path) -> None:
    with pytest.raises(BudgetError, match="nothing fits: the head alone takes ") as caught:
        compile_model(
            MODEL, output=tmp_path / "out", target=TARGET, ram=4000, calibration=str(samples),
            scheme="auto",
        )  # fmt: skip
    assert "more than the 4,000 that there are" in str(caught.value)
    assert not (tmp_path / "out").exists()
    found = re.search(r"give --ram (\d+) or more", str(caught.value.help))
    assert found is not None
    product = compile_model(
        MODEL, output=tmp_path / "out", target=TARGET, ram=int(found[1]), scheme="auto",
        calibration=str(samples),
    )  # fmt: skip
    assert product.memory.ram["total"] == int(found[1]), "and not a byte less"


@pytest.mark.slow
def test_an_autoencoder_is_its_own_target(tmp_path: Path) -> None:
    """And where only the loss needs so much, the least is known too."""
    model = shared_model(FILES["ad01"])
    x = np.random.default_rng(0).normal(0, 1, (16, 640)).astype(np.float32)
    given: dict[str, Any] = {"calibration": x, "scheme": "auto", "loss": "mean_squared_error"}
    with pytest.raises(BudgetError, match="nothing fits: the head alone takes 134,"):
        compile_model(model, output=tmp_path / "out", target=TARGET, ram=60_000, **given)
    product = compile_model(model, output=tmp_path / "out", target=TARGET, ram=190_000, **given)
    assert product.manifest.choice is not None and product.manifest.choice.value > 0
    assert product.manifest.ram["total"] <= 190_000


@pytest.mark.parametrize(
    ("options", "flag"),
    [
        ({"enrol": "ncm"}, "enrol="),
        ({"pseudo_labels": True, "guard": 16}, "pseudo_labels=True"),
    ],
)
def test_what_keeps_features_is_refused_at_once(options: dict[str, Any], flag: str) -> None:
    with pytest.raises(UsageError, match=f"would change what {flag} has kept of a class"):
        compile_model("missing.onnx", output="out", scheme="auto", **options)


def test_a_step_may_not_take_longer(samples: Path, tmp_path: Path, compiled: Product) -> None:
    most = compiled.compiled.plan.cost * 2 // 3
    given: dict[str, Any] = {"output": tmp_path / "out", "target": TARGET, "ram": RAM}
    given |= {"calibration": str(samples), "instructions": most}
    faster = compile_model(MODEL, scheme="auto", **given)
    assert faster.compiled.plan.cost <= most
    with pytest.raises(BudgetError, match=f"more than the {most:,} that are asked for"):
        compile_model(MODEL, scheme="full", **{**given, "ram": 1 << 20})
    with pytest.raises(BudgetError, match=r"the head alone takes [\d,]+ instructions a step"):
        compile_model(MODEL, scheme="auto", **{**given, "instructions": 9})


def test_nothing_else_takes_auto(samples: Path) -> None:
    with pytest.raises(SchemeError, match="the scheme auto is chosen for a budget"):
        inspect(MODEL, calibration=str(samples), scheme="auto")


class FakeAuto:
    """Schemes that take as many bytes as their name says."""

    def within(self, budget: Budget, free: int) -> Any:
        class Chosen:
            scheme = Scheme(str((budget.ram - free) // 100 * 100))

        return Chosen()


def test_what_really_fits_is_made() -> None:
    asked: list[str] = []

    def make(chosen: Any) -> str:
        asked.append(chosen.scheme.name)
        if int(chosen.scheme.name) > 9_500:
            raise BudgetError("too much")
        return chosen.scheme.name

    fake: Any = FakeAuto()
    assert first_that_fits(fake, Budget(10_090, 1), make) == "9500"
    assert asked == ["10000", "9500"], "the same scheme is not tried twice"
    assert first_that_fits(fake, Budget(99_000, 1), make) == "0", "the head, where nothing else"

    def refuse(chosen: Any) -> str:
        raise BudgetError("too much")

    with pytest.raises(BudgetError, match="too much"):
        first_that_fits(fake, Budget(99_000, 1), refuse)


@pytest.mark.parametrize(("nodes", "plans"), [(251, 3), (90, 23)])
def test_what_takes_long_is_ended_by_the_work_that_was_done(nodes: int, plans: int) -> None:
    asked = _Asked(nodes, plans=plans - 1)
    assert not asked.is_over
    asked.plans += 1
    assert asked.is_over
    assert _Asked(1, work=WORK).is_over and _Asked(1, rounds=ROUNDS).is_over


def test_the_sentence() -> None:
    def layer(bias: bool, channels: int) -> LayerChoiceRecord:
        return LayerChoiceRecord(
            layer="l", value=0.2, bias_value=0.1, bias=bias, channels=channels, of=8, ram=9
        )

    def record(*layers: LayerChoiceRecord, **fields: Any) -> str:
        bound = fields.get("bound", 0.5)
        found = ChoiceRecord(
            samples=64, fresh_head="rate" in fields, ram=9000, value=0.5, bound=bound, exact=True,
            checked=1, layers=layers,
            rate=fields.get("rate", 1.0), head_rate=2 * fields.get("rate", 0.5),
        )  # fmt: skip
        return found.sentence()

    rest = "for 9,000 bytes of RAM: 50.0% of what the layers before the head would win, each at a "
    rest += "rate of its own, by the gradients of 64 labelled samples; no scheme that fits has more"
    assert record(layer(False, 0)) == f"the head, {rest}"
    assert record(layer(True, 0), layer(True, 0)) == f"the head, 2 of 2 biases, {rest}"
    found = record(layer(True, 0), rate=2.0)
    assert found.startswith(
        "the head, 1 of 1 biases, at 2 times the suggested rate, the head 4 times as fast again, "
    )
    assert found.endswith(
        "50.0% of what the best set without a budget is worth, by what 64 labelled samples do to "
        "each other's loss"
    )
    found = record(layer(True, 8), layer(True, 2), layer(False, 0), bound=0.6)
    assert found.startswith(
        "the head, 2 of 3 biases, weights of 2 layers (1 whole, 1 in part), for "
    )
    assert found.endswith("has more than 60.0%")
