"""The manifest's schema: what is written is read again, and nothing else is."""

from __future__ import annotations

import dataclasses
import json
import typing
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.support.graphs import GRAPHS
from tests.support.manifests import small_manifest
from tinytrain.compiler.compile import write_folder
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import build_step
from tinytrain.data import Preprocess, SampleSpec
from tinytrain.manifest import Manifest, SchemaError, read_manifest, to_json
from tinytrain.manifest.schema import from_json, key_of
from tinytrain.passes.base import Runner
from tinytrain.target import load_target

FOLDERS: dict[str, dict[str, Any]] = {
    "plain": {},
    "everything": {
        "replay": 3,
        "momentum": 0.9,
        "accumulate": 2,
        "scheme": "last-2",
        "anomaly": "diagonal",
    },
    "little": {"health": False, "scheme": "head", "replay": 2, "replay_in": "flash"},
}


def entries(held: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all objects in a manifest, as keys and indices."""
    if isinstance(held, dict):
        yield path
        for name, item in held.items():
            yield from entries(item, (*path, name))
    if isinstance(held, list):
        for index, item in enumerate(held[:2]):
            yield from entries(item, (*path, index))


def at(held: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        held = held[step]
    return held


@pytest.fixture(scope="module", params=sorted(FOLDERS))
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A manifest as compile wrote it, and what the file holds."""
    options = Options(learning_rate=0.01, **FOLDERS[request.param])
    compiled = build_step(GRAPHS["convolutions"](), options, Runner())
    folder = tmp_path_factory.mktemp("folder") / "model"
    product = write_folder(compiled, folder, target=load_target("host"))
    return product.manifest, (folder / "manifest.json").read_text(encoding="utf-8"), folder


def test_what_compile_writes_is_what_is_read(written: Any) -> None:
    manifest, text, folder = written
    assert manifest.text() == text
    assert read_manifest(folder) == manifest
    assert from_json(Manifest, json.loads(text)).text() == text


def test_a_key_that_is_missing_or_too_much_is_named(written: Any) -> None:
    _, text, _ = written
    whole = json.loads(text)
    seen = 0
    for path in entries(whole):
        record = at(whole, path)
        name = path[-1] if path else ""
        # These have keys of their own.
        if name in ("options", "trained", "versions", "ram", "flash", "files") or (
            name in ("considered", "buffers")
        ):
            continue
        seen += 1
        for change in (*record, "unheard_of"):
            changed = json.loads(text)
            place = at(changed, path)
            if change in place:
                del place[change]
            else:
                place[change] = 1
            with pytest.raises(SchemaError) as caught:
                from_json(Manifest, changed)
            kind = "has an unknown entry" if change == "unheard_of" else "has no"
            dotted = "".join(
                f"[{step}]" if isinstance(step, int) else f".{step}" for step in (*path, change)
            )
            assert str(caught.value) == f"{kind} '{dotted[1:]}'"
    assert seen >= 20


WRONG: dict[str, tuple[Any, str]] = {
    "name": ("two words", "is 'two words', which is no C identifier"),
    "model_hash": ("12", "is '12', which is no SHA-256 in hexadecimal digits"),
    "warnings": ("none", "is no list"),
    "input.shape": ([1, 2, 3], "is no list of 4"),
    "input.shape[1]": (0, "is no whole number from 1 to 9007199254740991"),
    "input.scale": (0, "is no number above 0"),
    "input.zero_point": (128, "is no whole number from -128 to 127"),
    "output.classes": (True, "is no whole number"),
    "ram.total": (1, "is not the sum of its parts"),
    "options.rule": (3, "is no text"),
    "trained.dense_0.channels": ("some", "has a value of no kind that is known"),
    "trained.dense_0.bias": (1, "is neither true nor false"),
    "learning_rate": (float("nan"), "is no number"),
    "arena.peak": ("dense_0", "is not the name of the step at the peak"),
    "arena.lower_bound": (49, "is above the 48 bytes of the arena"),
    "preprocess": (
        {"resize": [0, 3], "mean": [0.0], "std": [1.0]},
        "is not possible: the preprocessing resizes to [0, 3], where a height and a width of at "
        "least 1 are needed",
    ),
}


@pytest.mark.parametrize("place", sorted(WRONG))
def test_a_wrong_entry_is_named(place: str) -> None:
    value, what = WRONG[place]
    held = to_json(small_manifest())
    *steps, last = (
        int(step[:-1]) if step.endswith("]") else step
        for step in place.replace("[", ".").split(".")
    )
    at(held, tuple(steps))[last] = value
    with pytest.raises(SchemaError) as caught:
        from_json(Manifest, held)
    assert str(caught.value) == f"has a wrong entry: '{place}' {what}"


def test_samples_are_those_of_input_output_and_preprocessing() -> None:
    preprocess = Preprocess((1, 1), (0.5,), (0.25,))
    manifest = dataclasses.replace(small_manifest(), preprocess=preprocess)
    read = from_json(Manifest, json.loads(manifest.text()))
    assert read.sample_spec() == SampleSpec(
        shape=(1, 1, 1, 40),
        source_shape=(1, 40),
        source_layout="NC",
        output_size=20,
        classes=20,
        scale=1 / 32,
        zero_point=-3,
        preprocess=preprocess,
        output_shape=(1, 20),
        output_layout="NC",
    )


def test_options_are_all_there(written: Any) -> None:
    manifest, _, _ = written
    # One more than the fields: the hash of a scheme's file.
    assert len(manifest.options) == len(dataclasses.fields(Options)) + 1


def records(kind: Any) -> Iterator[type]:
    """A record and all records in it."""
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        yield kind
        for hint in typing.get_type_hints(kind, include_extras=True).values():
            yield from records(hint)
    for inner in typing.get_args(kind):
        yield from records(inner)


def test_records_are_frozen_and_have_no_defaults() -> None:
    """A default would let a field be forgotten where a record is filled in."""
    for record in set(records(Manifest)) - {Preprocess}:
        assert record.__dataclass_params__.frozen  # type: ignore[attr-defined]
        for field in dataclasses.fields(record):
            assert field.default is field.default_factory is dataclasses.MISSING, field.name
        assert len({key_of(field) for field in dataclasses.fields(record)}) == len(
            dataclasses.fields(record)
        )


def test_mappings_keep_their_order() -> None:
    held: Mapping[str, Any] = to_json(small_manifest())
    assert list(held) == [key_of(field) for field in dataclasses.fields(Manifest)]
