"""Schemes: what a preset or a file stands for. What is refused stands in `tests/errors`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tinytrain.errors import SchemeError
from tinytrain.scheme.scheme import Scheme, Share, load_scheme

LAYERS = ["conv_0", "conv_1", "conv_2", "dense_0"]


def test_presets() -> None:
    layers = ["conv_0", "conv_1", "conv_2", "dense_0"]
    assert load_scheme("head", layers) == Scheme("head")
    assert load_scheme("bias", layers).biases == ("conv_0", "conv_1", "conv_2")
    assert set(load_scheme("last-2", layers).weights) == {"conv_1", "conv_2"}
    assert set(load_scheme("full", layers).weights) == {"conv_0", "conv_1", "conv_2"}
    with pytest.raises(SchemeError, match="asks for 4 layers"):
        load_scheme("last-4", layers)


def test_presets_to_the_letter() -> None:
    body = ("conv_0", "conv_1", "conv_2")
    assert load_scheme("bias", LAYERS) == Scheme("bias", body)
    assert load_scheme("full", LAYERS) == Scheme("full", body, dict.fromkeys(body, Share()))
    for count in range(4):
        last = body[3 - count :]
        wanted = Scheme(f"last-{count}", last, dict.fromkeys(last, Share()))
        assert load_scheme(f"last-{count}", LAYERS) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", Scheme("own.toml")),
        ("biases = 2", Scheme("own.toml", ("conv_1", "conv_2"))),
        ("biases = 0", Scheme("own.toml")),
        ("biases = 3", Scheme("own.toml", ("conv_0", "conv_1", "conv_2"))),
        ('biases = "all"', Scheme("own.toml", ("conv_0", "conv_1", "conv_2"))),
        ('biases = ["conv_2", "conv_0"]', Scheme("own.toml", ("conv_0", "conv_2"))),
        ('channels = "random"', Scheme("own.toml", choice="random")),
        (
            "[weights]\nconv_2 = 0.5\nconv_0 = 1",
            Scheme("own.toml", (), {"conv_0": Share(1.0), "conv_2": Share(0.5)}),
        ),
        (
            "[weights]\nconv_1 = { channels = [64, 9, 8, 9] }",
            Scheme("own.toml", (), {"conv_1": Share(channels=(8, 9, 64))}),
        ),
        (
            "biases = 1\n[weights]\nconv_0 = 1\n[rates]\nconv_0 = 1024\nconv_2 = 0.5\nhead = 2",
            Scheme(
                "own.toml",
                ("conv_2",),
                {"conv_0": Share()},
                rates={"conv_0": 1024.0, "conv_2": 0.5, "dense_0": 2.0},
            ),
        ),
        ("[rates]\ndense_0 = 3", Scheme("own.toml", rates={"dense_0": 3.0})),
        ("rate = 2", Scheme("own.toml", rate=2.0)),
    ],
)
def test_a_file_is_read(text: str, wanted: Scheme, tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(text)
    found = load_scheme(str(path), LAYERS)
    assert found == wanted
    assert list(found.weights) == list(wanted.weights), "in the order of the layers"
    assert all(type(rate) is float for rate in found.rates.values())


REFUSED = {
    "[weights]\nconv_0 = 1.01": ("conv_0 = 1.01 makes no sense", "give a fraction in (0, 1]"),
    "[weights]\nconv_0 = { channels = [-1] }": ("makes no sense", "give a fraction"),
    "[weights]\nconv_0 = { channels = 3 }": ("makes no sense", "give a fraction"),
    "[weights]\nconv_0 = { channels = [0], more = 1 }": ("makes no sense", "give a fraction"),
    "[weights]\nhead = 1": ("no layer 'head'", "it has conv_0 to conv_2"),
    "[weights]\nconv_0 = 0": ("conv_0 = 0 makes no sense", "give a fraction in (0, 1]"),
    "[weights]\nconv_0 = true": ("conv_0 = True makes no sense", "give a fraction"),
    "[weights]\nconv_0 = nan": ("conv_0 = nan makes no sense", "give a fraction"),
    "[weights]\nconv_0 = 'all'": ("conv_0 = 'all' makes no sense", "give a fraction"),
    "[weights]\nconv_0 = { channels = [] }": ("makes no sense", "give a fraction"),
    "[weights]\nconv_0 = { channels = [0, -1] }": ("makes no sense", "give a fraction"),
    "[weights]\nconv_0 = { channels = [0, true] }": ("makes no sense", "give a fraction"),
    "weights = 3": ("[weights] is not a table", "write one line for each layer: conv_3 = 0.5"),
    "rates = 3": ("[rates] is not a table", "write one line for each layer: conv_3 = 0.5"),
    "rate = 0": ("rate = 0 makes no sense", "leave it out for the suggested rate"),
    "rate = true": ("rate = True makes no sense", "give a factor above 0, at most 1024"),
    "rate = '2'": ("rate = '2' makes no sense", "give a factor above 0"),
    "rate = inf": ("rate = inf makes no sense", "give a factor above 0"),
    "[rates]\nhead = 0": ("[rates] head = 0 makes no sense", "give a factor above 0"),
    "[rates]\nhead = nan": ("[rates] head = nan makes no sense", "give a factor above 0"),
    "[rates]\nhead = true": ("[rates] head = True makes no sense", "give a factor above 0"),
    "[rates]\nhead = '2'": ("[rates] head = '2' makes no sense", "give a factor above 0"),
    'biases = ["conv_0", 1]': ("biases = ['conv_0', 1] makes no sense", "give a number"),
    "biases = true": ("biases = True makes no sense", 'give a number, "all" or a list'),
    "biases = [1]": ("biases = [1] makes no sense", 'give a number, "all" or a list'),
    'biases = "some"': ("biases = 'some' makes no sense", 'give a number, "all" or a list'),
    'biases = ["dense_0"]': ("'dense_0' is the head", "the head is always trained"),
    "biases = 4": ("'biases' asks for 4 layers, the model has 3 before its head", ""),
    "[rates]\nhead = 1024.5": ("[rates] head = 1024.5 makes no sense", "at most 1024"),
    "[rates]\nhead = -1": ("[rates] head = -1 makes no sense", "give a factor above 0"),
    "[rates]\nconv_1 = 1": ("[rates] names 'conv_1', of which this scheme trains nothing", ""),
    'channels = ""': ("channels = '' is no way to choose", "use one of largest, smallest, random"),
    "z = 1\nb = 2": ("unknown field 'b'", "fields are biases, channels, rate, [weights], [rates]"),
    "[weights]\nconv_0 = 1\n[rates]\ndense_0 = 1\nhead = 1": ("names the head twice", "keep one"),
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_makes_no_sense_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(text)
    sentence, help = REFUSED[text]
    with pytest.raises(SchemeError) as caught:
        load_scheme(str(path), LAYERS)
    first, *rest = str(caught.value).split("\n")
    assert sentence in first and "  at: own.toml" in rest
    assert any(line.startswith(f"  help: {help}") or help in line for line in rest) or not help


PRESETS = "head, bias, last-K, full"


@pytest.mark.parametrize("spec", ["tail", "last-", "last-" + "9" * 5000, "", "."])
def test_what_is_no_preset_is_a_file(spec: str) -> None:
    with pytest.raises(SchemeError) as caught:
        load_scheme(spec, LAYERS)
    first, *rest = str(caught.value).split("\n")
    assert first == f"'{spec}' is neither a preset nor a scheme file"
    assert PRESETS in "\n".join(rest)


@pytest.mark.parametrize("data", [b"biases 22", b"\xff\xfe\x00\x80" * 9, b"a = " + b"[" * 100_000])
def test_what_is_no_toml_is_refused(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_bytes(data)
    with pytest.raises(SchemeError, match="the scheme is not a TOML file") as caught:
        load_scheme(str(path), LAYERS)
    assert "at: own.toml" in str(caught.value) and PRESETS in str(caught.value)


def test_a_file_that_cannot_be_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "own.toml"
    path.write_text("")

    def refuse(self: Path, encoding: str) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(SchemeError, match="the scheme file cannot be read: Permission denied"):
        load_scheme(str(path), LAYERS)


def test_a_model_of_one_layer_has_a_head_alone() -> None:
    for preset in ("head", "bias", "full", "last-0"):
        assert load_scheme(preset, ["dense_0"]) == Scheme(preset)
    with pytest.raises(SchemeError, match="asks for 1 layers, the model has 0"):
        load_scheme("last-1", ["dense_0"])


def test_a_layer_that_is_missing_from_a_model_of_one(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text("[weights]\nconv_0 = 1")
    with pytest.raises(SchemeError) as caught:
        load_scheme(str(path), ["dense_0"])
    assert "it has no layer but its head" in str(caught.value)
