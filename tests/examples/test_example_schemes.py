"""The scheme files say what the origin's table says."""

import tomllib

import pytest

from tests.support.paths import SCHEMES

# Biases of the last k convolutions, and the ratio for each layer whose weights are trained.
ORIGIN = {
    "mcunet-5fps-49kb": (20, {24: 1 / 4, 27: 1 / 2, 30: 1 / 2}),
    "mcunet-5fps-74kb": (21, {21: 1, 24: 1, 27: 1 / 2, 30: 1}),
    "mcunet-5fps-100kb": (22, {21: 1, 24: 1, 27: 1, 30: 1, 36: 1 / 8, 39: 1 / 4}),
    "mcunet-5fps-148kb": (23, {21: 1, 24: 1, 27: 1, 30: 1, 36: 1, 39: 1 / 2}),
    "mbv2-w0.35-49kb": (
        16,
        {36: 1, 39: 1, 41: 1 / 4, 42: 1 / 8, 45: 1 / 8, 48: 1 / 8, 49: 1 / 8},
    ),
    "mbv2-w0.35-100kb": (
        25,
        {27: 1, 30: 1, 33: 1, 36: 1, 39: 1, 42: 1 / 8, 45: 1 / 2, 48: 1},
    ),
    "mbv2-w0.35-138kb": (34, dict.fromkeys((27, 30, 33, 36, 39, 42, 45, 48), 1)),
}


def test_every_scheme_file_is_known():
    assert {path.stem for path in SCHEMES.glob("*.toml")} == set(ORIGIN)


@pytest.mark.parametrize("name", ORIGIN)
def test_scheme_file_says_what_the_origin_says(name):
    biases, ratios = ORIGIN[name]
    fields = tomllib.loads((SCHEMES / f"{name}.toml").read_text(encoding="utf-8"))
    weights = {f"conv_{layer}": float(ratio) for layer, ratio in ratios.items()}
    assert fields == {"biases": biases, "channels": "largest", "weights": weights}
