"""Words of scheme files whose channels labelled samples choose."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from examples.digits import data as digits
from tests.support.graphs import GRAPHS, shared_weights
from tests.support.imported import shared_model
from tests.support.paths import ROOT
from tests.support.real_models import FILES
from tinytrain import compile_model, inspect
from tinytrain.autodiff.differentiate import Loss
from tinytrain.choosing.channel_scores import with_channels
from tinytrain.choosing.fisher import measure_worth
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import build_step, select_trainable
from tinytrain.errors import DataError, SchemeError, TinytrainError, UsageError
from tinytrain.passes.base import Runner
from tinytrain.scheme.channels import choose_channels, highest, random_order
from tinytrain.scheme.scheme import Scheme, Share
from tinytrain.scheme.ways import WAYS, ChannelFacts

MODEL = ROOT / "examples" / "digits" / "digits.onnx"
MEASURED = [word for word, way in WAYS.items() if way.measured]


def scheme_file(folder: Path, word: str, weights: str = "conv_1 = 0.25\nconv_2 = 0.5") -> str:
    path = folder / f"{word}.toml"
    path.write_text(f'biases = "all"\nchannels = "{word}"\n[weights]\n{weights}\n')
    return str(path)


Trained = dict[str, tuple[int, ...] | str | None]


def trained(scheme: str, calibration: object, **options: object) -> Trained:
    """Channels that train, by layer."""
    report = inspect(MODEL, calibration=calibration, scheme=scheme, **options)  # type: ignore[arg-type]
    assert report.training is not None
    channels = {layer: one["channels"] for layer, one in report.training.trained.items()}
    return {layer: tuple(c) if isinstance(c, list) else c for layer, c in channels.items()}


@pytest.fixture(scope="module")
def labelled() -> dict[str, np.ndarray]:
    images = digits.as_it_is_now(digits.ADAPT)
    return {"x": images.x, "y": images.y}


def test_every_word_chooses_as_many_channels(
    tmp_path: Path, labelled: dict[str, np.ndarray]
) -> None:
    found = {word: trained(scheme_file(tmp_path, word), labelled) for word in WAYS}
    for word, layers in found.items():
        for layer, count in (("conv_1", 4), ("conv_2", 16)):
            channels = layers[layer]
            assert isinstance(channels, tuple) and len(channels) == count, word
            assert channels == tuple(sorted(set(channels)))
    assert len({layers["conv_2"] for layers in found.values()}) >= 5, "ways differ"


def test_the_manifest_lists_what_was_chosen(
    tmp_path: Path, labelled: dict[str, np.ndarray]
) -> None:
    """And a file that lists it trains the same."""
    scheme = scheme_file(tmp_path, "fisher")
    product = compile_model(MODEL, output=tmp_path / "out", scheme=scheme, calibration=labelled)
    channels = {layer: one.channels for layer, one in product.manifest.trained.items()}
    assert channels == trained(scheme, labelled)
    lines = "\n".join(
        f"{layer} = {{ channels = {list(c)} }}"
        for layer, c in channels.items()
        if isinstance(c, tuple)
    )
    assert channels == trained(scheme_file(tmp_path, "random", lines), labelled["x"])


@pytest.mark.parametrize("word", MEASURED)
def test_without_labels_it_is_refused_and_nothing_is_written(
    tmp_path: Path, word: str, labelled: dict[str, np.ndarray]
) -> None:
    needs = f'channels = "{word}" of the scheme needs labelled samples'
    with pytest.raises(DataError, match=needs) as caught:
        compile_model(
            MODEL, output=tmp_path / word, scheme=scheme_file(tmp_path, word),
            calibration=labelled["x"],
        )  # fmt: skip
    assert "choose channels by largest, smallest or random" in str(caught.value)
    assert not (tmp_path / word).exists()


def test_without_samples_it_is_refused(tmp_path: Path) -> None:
    resnet = shared_model(FILES["resnet8"])
    scheme = scheme_file(tmp_path, "fisher", "conv_1 = 0.5")
    with pytest.raises(UsageError, match="needs labelled samples, and there are none") as caught:
        compile_model(resnet, output=tmp_path / "out", scheme=scheme)
    assert "give calibration='F.npz' with x and y" in str(caught.value)


def test_labels_of_other_classes_are_refused(
    tmp_path: Path, labelled: dict[str, np.ndarray]
) -> None:
    with pytest.raises(DataError, match="label 10 of sample 0 is out of range"):
        trained(scheme_file(tmp_path, "fisher"), {**labelled, "y": labelled["y"] * 0 + 10})


def test_where_nothing_is_left_open_no_samples_are_needed(
    tmp_path: Path, labelled: dict[str, np.ndarray]
) -> None:
    scheme = scheme_file(tmp_path, "fisher", "conv_1 = 1\nconv_2 = { channels = [1] }")
    assert trained(scheme, labelled["x"])["conv_2"] == (1,)


def test_a_fresh_head_takes_the_labels_of_its_own_classes(
    tmp_path: Path, labelled: dict[str, np.ndarray]
) -> None:
    data = {**labelled, "y": (labelled["y"] == 8).astype(np.int32)}
    found = trained(scheme_file(tmp_path, "fisher"), data, classes=2)
    assert isinstance(found["conv_1"], tuple)


@pytest.mark.parametrize("name", ["convolutions", "mixture", "signal"])
@pytest.mark.parametrize("word", MEASURED)
def test_depthwise_grouped_and_one_dimensional_layers(name: str, word: str) -> None:
    graph = GRAPHS[name]()
    samples = np.random.default_rng(1).integers(-99, 99, (6, *graph.inputs[0].type.shape[1:]))
    worth = measure_worth(
        graph, samples.astype(np.int8), np.arange(6) % 3, loss=Loss("cross_entropy")
    )
    *body, _ = worth.layers
    scheme = Scheme("own", (), dict.fromkeys(body, Share(0.5)), word)
    listed = with_channels(scheme, worth)
    graph, _ = select_trainable(graph, Options(), Runner(), listed)
    for layer, share in listed.weights.items():
        total = worth.facts[layer].size.size
        count = len(share.channels) if share.channels else total
        assert count == (total + 1) // 2
        if share.channels:
            score = WAYS[word].score(worth.facts[layer])
            rest = np.delete(score, share.channels)
            assert score[list(share.channels)].min() >= rest.max()
    assert build_step(GRAPHS[name](), Options(), Runner(), scheme=listed).scheme == listed


def test_layers_that_share_weights_train_the_same_channels() -> None:
    graph = shared_weights()
    samples = np.random.default_rng(1).integers(-99, 99, (6, *graph.inputs[0].type.shape[1:]))
    worth = measure_worth(
        graph, samples.astype(np.int8), np.arange(6) % 3, loss=Loss("cross_entropy")
    )
    *body, _ = worth.layers
    listed = with_channels(Scheme("own", (), dict.fromkeys(body, Share(0.5)), "fisher"), worth)
    assert any(share.channels for share in listed.weights.values())
    build_step(graph, Options(), Runner(), scheme=listed)


def test_a_way_that_needs_samples_never_chooses_without() -> None:
    with pytest.raises(SchemeError, match='channels = "fisher" is chosen by what labelled samples'):
        choose_channels("l", Share(0.5), "fisher", np.zeros(4), 0)
    assert choose_channels("l", Share(1.0), "fisher", np.zeros(2), 0) == (0, 1)


def test_scores_of_the_ways() -> None:
    facts = ChannelFacts(
        np.array([1.0, 3.0, 2.0]),
        random_order("l", 3, 0),
        np.array([[1.0, -2.0, 0.0], [-1.0, 0.0, 4.0]]),
        np.array([5.0, 0.0, 1.0]),
    )
    assert list(WAYS["fisher"].score(facts)) == [0.5, 1.0, 4.0]
    assert list(WAYS["taylor"].score(facts)) == [1.0, 1.0, 2.0]
    chosen = {word: highest(word, facts, 1) for word in WAYS if word != "random"}
    assert chosen == {
        "largest": (1,), "smallest": (0,), "fisher": (2,), "taylor": (2,), "snip": (0,),
    }  # fmt: skip
    assert issubclass(SchemeError, TinytrainError)
