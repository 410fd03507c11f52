"""What layers contribute by Fisher, measured once for a model and its data."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np

from tinytrain.choosing.fisher import SAMPLES, Worth
from tinytrain.compiler.rehearsal import balanced
from tinytrain.compiler.worth import LabelledSamples, worth_of
from tinytrain.experiments.once import write_whole
from tinytrain.scheme.ways import ChannelFacts
from tinytrain.searches.asking import Subject
from tinytrain.searches.bench import library_samples
from tinytrain.searches.store import Store

_FACTS = ("size", "order", "contributions", "sensitivity")


def known_worth(subject: Subject, store: Store, *, learned: bool = False) -> Worth:
    """From the store, or measured on samples to learn from, as many of each class.

    Args:
        learned: whether a fresh head learns the samples first.
    """
    learned = learned and subject.options.classes is not None
    path = store.folder / ("worth-learned.npz" if learned else "worth.npz")
    known = read_worth(path)
    if known is not None:
        return known
    data = subject.samples.data
    learn, _ = subject.samples.split(0)
    samples = library_samples(data, learn[balanced(data.targets(learn), SAMPLES)])
    assert samples.inputs is not None
    worth = worth_of(
        subject.forward,
        subject.options,
        LabelledSamples(samples.inputs, samples.targets),
        learned=learned,
    )
    _keep(path, worth)
    return worth


def _keep(path: Path, worth: Worth) -> None:
    arrays: dict[str, np.ndarray] = {
        "layers": np.array(list(worth.layers)),
        "worth": np.array(list(worth.layers.values())),
        "bias": np.array([worth.bias.get(layer, 0.0) for layer in worth.layers]),
        "descent": np.array([worth.descent.get(layer, (0.0, 0.0)) for layer in worth.layers]),
        "spread": np.array([worth.spread.get(layer, (0.0, 0.0)) for layer in worth.layers]),
        "sizes": np.array([worth.sizes.get(layer, (0, 0)) for layer in worth.layers]),
        "samples": np.array(worth.samples),
        "fallen": np.array(worth.fallen),
    }
    if worth.interference is not None:
        arrays["interference"] = worth.interference
    for layer, facts in worth.facts.items():
        for name in _FACTS:
            if (array := getattr(facts, name)) is not None:
                arrays[f"{name}:{layer}"] = array
    content = io.BytesIO()
    np.savez(content, **arrays)  # type: ignore[arg-type]

    def write(made: Path) -> None:
        made.write_bytes(content.getvalue())

    write_whole(path, write)


def read_worth(path: Path) -> Worth | None:
    """What a search left; None where there is no such file, or it is damaged."""
    try:
        with np.load(path, allow_pickle=False) as held:
            arrays = {name: held[name] for name in held.files}
        layers = [str(layer) for layer in arrays["layers"]]
        facts = {
            layer: ChannelFacts(*(arrays.get(f"{name}:{layer}") for name in _FACTS))  # type: ignore[arg-type]
            for layer in layers
            if f"size:{layer}" in arrays
        }
        return Worth(
            dict(zip(layers, arrays["worth"].tolist(), strict=True)),
            dict(zip(layers, arrays["bias"].tolist(), strict=True)),
            facts,
            dict(zip(layers, map(tuple, arrays["descent"].tolist()), strict=True)),
            int(arrays["samples"]),
            dict(zip(layers, map(tuple, arrays["spread"].tolist()), strict=True)),
            dict(zip(layers, map(tuple, arrays["sizes"].tolist()), strict=True)),
            float(arrays["fallen"]),
            arrays.get("interference"),
        )
    # A damaged file is as good as none.
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
