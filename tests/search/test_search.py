"""A search from its samples to its files; trainings are made up but in the slow part."""

from __future__ import annotations

import json
import math
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tinytrain
from tests.support.inline_workers import Inline
from tests.support.small_search import SHAPE, files, network, samples
from tinytrain.cli import main
from tinytrain.cli.command import arguments_of
from tinytrain.cli.commands.search import next_command
from tinytrain.cli.parser import parse
from tinytrain.compiler.options import make_options
from tinytrain.errors import BudgetError, DataError, SchemeError, UsageError
from tinytrain.experiments.pool import Job
from tinytrain.passes.select_trainable import weighted_layers
from tinytrain.scheme.scheme import load_scheme
from tinytrain.searches import conduct, search
from tinytrain.searches.asking import Sources, command_of, subject_of
from tinytrain.searches.explore import VALUATIONS
from tinytrain.searches.measured import SearchTrial
from tinytrain.searches.parameters import SEARCH
from tinytrain.target import load_target

Search = Callable[..., tinytrain.SearchResult]


def made(
    largest: Path, of: Path, cache: Path, training: SearchTrial, report: object
) -> dict[str, Any]:
    """More that trains is better, up to a point; a longer training and its seed show."""
    scheme, length = training.scheme, training.length
    shares = sum(share.fraction for share in scheme.weights.values())
    loss = 2.0 / (1.0 + shares + 0.3 * len(scheme.biases)) + 0.01 * training.seed
    loss *= 1.0 if length.steps < 1000 else 0.5
    return {"loss": loss, "accuracy": math.exp(-loss)}


@pytest.fixture
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Search:
    """A search whose trainings are made up, in a store of its own."""
    monkeypatch.setattr(conduct, "run_training", made)
    monkeypatch.setattr(search, "open_workers", lambda workers: Inline())

    def run(name: str = "s.toml", store: str = "store", **given: Any) -> tinytrain.SearchResult:
        options = {"data": samples(60, 0), "ram": 15000, **given}
        where = {"output": tmp_path / name, "store": tmp_path / store}
        return tinytrain.search(network(), torch.zeros(1, *SHAPE), **where, **options)

    return run


def test_a_search_writes_a_scheme_that_fits(quick: Search, tmp_path: Path) -> None:
    result = quick(eval=samples(30, 1))
    assert result.memory.ram["total"] <= 15000
    assert result.chosen.long is not None and len(result.chosen.long.losses) == 3
    assert result.chosen.eval is not None
    product = tinytrain.compile_model(
        network(),
        torch.zeros(1, *SHAPE),
        output=tmp_path / "model",
        calibration=samples(60, 0)[0],
        scheme=str(result.output),
        ram=15000,
    )
    assert product.memory.ram["total"] <= 15000
    layers = weighted_layers(product.compiled.forward)
    assert load_scheme(str(result.output), layers).weights == result.scheme.weights
    described = json.loads(result.json.read_text())
    assert described["trainings"] == result.trainings == result.new_trainings
    assert {one.origin for one in result.tried} >= {"preset", "biases", "contribution"}
    # Nothing that was tried longer and fits is more accurate.
    longer = [one.long.accuracy for one in result.tried if one.long is not None]
    assert max(longer) == result.chosen.long.accuracy


@pytest.mark.slow
def test_another_search_reads_what_was_measured(quick: Search) -> None:
    first = quick("a.toml")
    again = quick("b.toml")
    assert again.new_trainings == 0 and again.trainings == first.trainings
    fresh = quick("c.toml", store="other")
    assert files(first) == files(again) == files(fresh)
    smaller = quick("d.toml", ram=14000)
    assert smaller.memory.ram["total"] <= 14000
    assert smaller.new_trainings < first.new_trainings / 2
    # What was found does not depend on what was asked before.
    alone = quick("e.toml", store="third", ram=14000)
    assert files(smaller) == files(alone)


def test_what_images_mean_is_part_of_what_was_asked() -> None:
    x, y = samples(60, 0)
    pixels = ((x - x.min()) * 50).clip(0, 255).astype(np.uint8), y
    given: dict[str, Any] = {"calibration": x, "model_output": None, "data": pixels}

    def key(eval: Any = None, mean: float = 0.5) -> str:
        sources = Sources(network(), torch.zeros(1, *SHAPE), eval=eval, mean=mean, std=0.2, **given)
        return subject_of(sources, make_options({"scheme": "head"}), load_target("host"), "h").key

    assert key() != key(mean=0.4)
    assert key() == key(eval=(255 - pixels[0], y))


def test_an_iterator_of_samples_calibrates_and_teaches() -> None:
    x, y = samples(60, 0)
    pairs = [(x[k : k + 20], y[k : k + 20]) for k in range(0, 60, 20)]

    def key(data: Any) -> str:
        sources = Sources(
            network(), torch.zeros(1, *SHAPE), None, data, None, None, mean=None, std=None
        )
        return subject_of(sources, make_options({"scheme": "head"}), load_target("host"), "h").key

    assert key(iter(pairs)) == key(pairs)


def test_the_command_that_is_written_can_be_run() -> None:
    given: dict[str, Any] = {"model": "net.onnx", "data": "d.npz", "output": "s.toml"}
    given |= {"beside": ["a.toml", "b.toml"], "mean": (0.5, 0.25), "ram": 24576, "classes": 4}
    words = shlex.split(command_of(SEARCH, given))
    assert words[:3] == ["tinytrain", "search", "net.onnx"]
    read = vars(parse(words[1:]))
    for name, value in given.items():
        assert read[name] == value or tuple(read[name]) == tuple(value), name


def test_the_next_command_compiles_what_was_searched() -> None:
    words = "search net.onnx --data d.npz -o s.toml --target mps2-an500 --ram 96K --classes 4"
    given = arguments_of(parse([*words.split(), "--mean", "0.5", "--store", "x"]), SEARCH)
    told = shlex.split(next_command(given, Path("s.toml")))
    read = vars(parse(told[1:]))
    wanted = {"model": "net.onnx", "target": "mps2-an500", "ram": 96 << 10, "classes": 4}
    wanted |= {"scheme": "s.toml", "calibration": "d.npz", "output": "DIR"}
    assert {name: read[name] for name in wanted} == wanted and list(read["mean"]) == [0.5]
    again = next_command({**given, "calibration": "c.npz"}, Path("s.toml"))
    assert "--calibration c.npz" in again and "d.npz" not in again


def test_samples_to_report_on_leave_what_was_measured(quick: Search) -> None:
    first, again = quick("a.toml"), quick("b.toml", eval=samples(30, 1))
    assert again.chosen.eval is not None and again.chosen.name == first.chosen.name
    assert again.new_trainings == len(again.chosen.eval.losses)
    assert quick("c.toml", eval=samples(30, 2)).new_trainings == again.new_trainings


@pytest.mark.slow
def test_a_limit_of_instructions_is_kept(quick: Search) -> None:
    free = quick()
    most = (free.chosen.fitted or free.chosen.takes).instructions * 2 // 3
    slower = quick("slow.toml", instructions=most)
    assert slower.chosen.fitted is not None and slower.chosen.fitted.instructions <= most


@pytest.mark.slow
def test_schemes_beside_are_shown_and_never_chosen(quick: Search, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs.toml"
    theirs.write_text('biases = "all"\n[weights]\nconv_0 = 1.0\nconv_1 = 1.0\n')
    result = quick(beside=[theirs], eval=samples(30, 1), ram=2**20)
    (shown,) = (one for one in result.tried if one.origin == "beside")
    assert shown.long is not None and shown.eval is not None and shown is not result.chosen
    assert b"theirs.toml" in result.page.read_bytes()


def test_schemes_beside_are_made_ready_before_anything_trains(
    quick: Search, tmp_path: Path
) -> None:
    nothing, chosen = tmp_path / "channels.toml", tmp_path / "theirs.toml"
    nothing.write_text("[weights]\nconv_1 = { channels = [99] }\n")
    chosen.write_text('channels = "taylor"\n[weights]\nconv_1 = 0.5\n')
    with pytest.raises(SchemeError, match="no input channel 99"):
        quick(beside=[chosen, nothing])
    with pytest.raises(SchemeError, match="the scheme trains nothing"):
        quick(beside=["none"])
    assert not list((tmp_path / "store").glob("*/trainings"))
    result = quick(beside=[chosen])
    (shown,) = (one for one in result.tried if one.origin == "beside")
    assert len(shown.scheme.weights["conv_1"].channels or ()) == 4


def test_what_was_tried_was_valued_in_every_way(quick: Search) -> None:
    result = quick()
    origins = {one.origin for one in result.tried}
    # Two ways may come to one set, which then has the origin of the first.
    ways = {f"knapsack by {way}" for way in VALUATIONS}
    assert "elastic" in origins and len(origins & ways) > 1
    gaps = [one.gap for one in result.tried if one.gap is not None]
    assert gaps and all(0.0 <= gap <= 1.0 for gap in gaps)
    # A set within a time takes no more than that.
    for one in result.tried:
        if one.origin == "elastic":
            assert one.takes.instructions <= 1.1 * int(one.name.removeprefix("elastic-"))
    # What is reported is of the folder.
    fitted = result.chosen.fitted
    assert fitted is not None and fitted.ram == result.memory.ram["total"]
    assert f"step    {fitted.instructions:,} instructions" in result.output.read_text()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["numbers", "autoencoder", "pixels", "binary"])
def test_where_there_are_no_classes_the_loss_decides(kind: str, tmp_path: Path) -> None:
    x, y = samples(60, 0)
    torch.manual_seed(0)
    front = [torch.nn.Conv2d(1, 8, 3, stride=2), torch.nn.ReLU(), torch.nn.Flatten()]
    sizes = np.stack([x.mean((1, 2, 3)), x.std((1, 2, 3))], 1)
    pixels = np.broadcast_to(y[:, None, None], (60, 8, 8))
    networks: dict[str, tuple[list[torch.nn.Module], Any, dict[str, Any]]] = {
        "numbers": ([*front, torch.nn.Linear(72, 2)], (x, sizes), {"loss": "mean_squared_error"}),
        "autoencoder": (
            [torch.nn.Linear(8, 4), torch.nn.ReLU(), torch.nn.Linear(4, 8)],
            x[:, 0, 0, :],
            {"loss": "mean_squared_error"},
        ),
        "pixels": (
            [torch.nn.Conv2d(1, 8, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(8, 3, 1)],
            (x, pixels),
            {},
        ),
        "binary": ([*front, torch.nn.Linear(72, 1), torch.nn.Sigmoid()], (x, y // 2), {}),
    }
    layers, data, options = networks[kind]
    inputs = data[0] if isinstance(data, tuple) else data
    result = tinytrain.search(
        torch.nn.Sequential(*layers).eval(),
        torch.zeros(1, *inputs.shape[1:]),
        data=data,
        output=tmp_path / "s.toml",
        store=tmp_path / "store",
        **options,
    )
    wanted = "balanced accuracy" if kind == "binary" else "loss taken away"
    assert result.figure == wanted == json.loads(result.json.read_text())["figure"]
    assert result.chosen.long is not None and result.chosen.long.accuracy > 0.0
    assert wanted.capitalize() in result.page.read_text()


def test_a_budget_that_nothing_meets_says_the_smallest(quick: Search, tmp_path: Path) -> None:
    with pytest.raises(BudgetError) as caught:
        quick(ram=1000)
    told = re.match(
        r"nothing fits: the head alone takes ([\d,]+) bytes of RAM, [\d,]+ more than the 1,000 "
        "that there are",
        caught.value.what,
    )
    assert told and caught.value.help is not None
    least = int(told[1].replace(",", ""))
    assert caught.value.help.startswith(f"give --ram {least} or more")
    assert not (tmp_path / "s.toml").exists() and not (tmp_path / "s.html").exists()
    assert quick(ram=least).memory.ram["total"] <= least
    with pytest.raises(BudgetError, match=r"the head alone takes [\d,]+ instructions"):
        quick(instructions=10)


def test_mistakes_end_before_anything_is_measured(quick: Search, tmp_path: Path) -> None:
    x, y = samples(60, 0)
    for unlabelled in (x, (x, None)):
        with pytest.raises(DataError, match="there is no y"):
            quick(data=unlabelled)
    with pytest.raises(DataError, match="every sample of eval= is in data= too"):
        quick(eval=(x, y))
    with pytest.raises(DataError, match="has samples of 2 classes, and the head has 3"):
        quick(data=(x, y % 2))
    with pytest.raises(UsageError, match="no option 'scheme'"):
        quick(scheme="full")
    with pytest.raises(UsageError, match=r"is a .toml file, got 'net-v0.5'") as caught:
        quick("net-v0.5")
    assert caught.value.help == "give -o net-v0.5.toml"
    with pytest.raises(UsageError, match="its folder is missing"):
        quick("missing/s.toml")
    assert not list((tmp_path / "store").glob("*/trainings"))


@pytest.mark.slow
def test_an_interrupted_search_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    x, y = samples(60, 0)
    np.savez(tmp_path / "learn.npz", x=x, y=y)
    torch.onnx.export(
        network(), (torch.zeros(1, *SHAPE),), tmp_path / "n.onnx", dynamo=False, input_names=["x"]
    )
    seen: list[Job] = []

    def interrupt(job: Job) -> None:
        seen.append(job)
        if len(seen) == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(conduct, "run_training", made)
    monkeypatch.setattr(search, "open_workers", lambda workers: Inline(interrupt))
    words = ["search", str(tmp_path / "n.onnx"), "--data", str(tmp_path / "learn.npz")]
    words += ["--ram", "15000", "--store", str(tmp_path / "store"), "-o", str(tmp_path / "s.toml")]
    assert main(words) == 130
    assert "the same command goes on from there" in capsys.readouterr().err
    assert not (tmp_path / "s.toml").exists()
    assert len(list((tmp_path / "store").glob("*/trainings/*"))) == 4
    assert main(words) == 0
    out = capsys.readouterr()
    assert "(chosen)" in out.out and "next: tinytrain compile" in out.out
    assert main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["chosen"]


@pytest.mark.slow
def test_real_trainings_give_the_same_in_any_number_of_processes(tmp_path: Path) -> None:
    found = []
    for workers in (1, 2):
        found.append(
            tinytrain.search(
                network(),
                torch.zeros(1, *SHAPE),
                data=samples(90, 0),
                eval=samples(60, 1),
                ram=15000,
                output=tmp_path / f"s{workers}.toml",
                store=tmp_path / f"store{workers}",
                workers=workers,
            )
        )
    assert files(found[0]) == files(found[1])
    chosen = found[0].chosen
    assert chosen.long is not None and chosen.eval is not None
    (head,) = (one for one in found[0].tried if one.name == "head")
    assert chosen.short.loss <= head.short.loss and chosen.eval.accuracy > 0.5
