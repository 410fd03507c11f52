"""A scheme that is written as a file is read as the same scheme."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinytrain.errors import SchemeError
from tinytrain.scheme.channels import WAYS
from tinytrain.scheme.scheme import MAX_RATE_FACTOR, Scheme, Share, load_scheme
from tinytrain.scheme.text import WIDTH, scheme_text

LAYERS = ["conv_0", "conv-1", "Übergang 2", 'a "b"\\\x7f\n', "conv_4", "dense_0"]
BODY, HEAD = LAYERS[:-1], LAYERS[-1]

SHARES = st.one_of(
    st.floats(1e-9, 1.0).map(Share),
    st.sets(st.integers(0, 5000), min_size=1, max_size=300).map(
        lambda found: Share(channels=tuple(sorted(found)))
    ),
)


@st.composite
def schemes(draw: st.DrawFn) -> Scheme:
    chosen = draw(st.dictionaries(st.sampled_from(BODY), SHARES))
    biases = draw(st.sets(st.sampled_from(BODY)))
    trained = [layer for layer in LAYERS if layer in {*chosen, *biases, HEAD}]
    rates = draw(st.dictionaries(st.sampled_from(trained), st.floats(1e-30, MAX_RATE_FACTOR)))
    return Scheme(
        "own.toml",
        tuple(layer for layer in BODY if layer in biases),
        {layer: chosen[layer] for layer in BODY if layer in chosen},
        draw(st.sampled_from(sorted(WAYS))),
        rates,
        draw(st.one_of(st.just(1.0), st.floats(1e-30, MAX_RATE_FACTOR))),
    )


@settings(max_examples=25, deadline=None)
@given(scheme=schemes(), comments=st.lists(st.text(), max_size=3))
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, scheme: Scheme, comments: list[str]
) -> None:
    path = tmp_path_factory.mktemp("schemes") / "own.toml"
    text = scheme_text(scheme, comments)
    path.write_text(text, encoding="utf-8")
    found = load_scheme(str(path), LAYERS)
    assert found == scheme
    assert list(found.weights) == list(scheme.weights)
    assert scheme_text(found, comments) == text, "the same scheme, the same bytes"


@pytest.mark.parametrize("preset", ["head", "bias", "last-2", "full"])
def test_presets_can_be_written(tmp_path: Path, preset: str) -> None:
    path = tmp_path / "own.toml"
    scheme = load_scheme(preset, LAYERS)
    path.write_text(scheme_text(scheme), encoding="utf-8")
    assert load_scheme(str(path), LAYERS) == replace(scheme, name="own.toml")


def test_how_it_looks() -> None:
    scheme = Scheme(
        "found",
        ("conv_0", "conv_4"),
        {"conv_0": Share(0.125), "conv_4": Share(channels=tuple(range(100, 130)))},
        "fisher",
        {"conv_4": 2.0},
    )
    text = scheme_text(scheme, ["Found for 96 KB.", "two\nlines"])
    assert text == (
        "# Found for 96 KB.\n"
        "# two\n"
        "# lines\n"
        'biases = ["conv_0", "conv_4"]\n'
        'channels = "fisher"\n'
        "\n"
        "[weights]\n"
        "conv_0 = 0.125\n"
        "conv_4 = { channels = [\n"
        "    100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111, 112, 113, 114, 115, 116, "
        "117, 118,\n"
        "    119, 120, 121, 122, 123, 124, 125, 126, 127, 128, 129,\n"
        "] }\n"
        "\n"
        "[rates]\n"
        "conv_4 = 2.0\n"
    )
    assert max(map(len, text.splitlines())) <= WIDTH


def test_nothing_has_no_file() -> None:
    with pytest.raises(SchemeError, match="trains nothing") as caught:
        scheme_text(load_scheme("none", LAYERS))
    assert "use the preset none" in str(caught.value)
