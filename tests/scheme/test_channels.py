"""Which input channels of a layer are trained."""

from __future__ import annotations

import numpy as np
import pytest

from tinytrain.errors import SchemeError
from tinytrain.scheme.channels import choose_channels
from tinytrain.scheme.scheme import Share


def test_largest_channels_go_by_real_weights() -> None:
    score = np.array([0.1, 9.01, 127.0])
    pick = lambda choice: choose_channels("l", Share(0.34), choice, score, 0)  # noqa: E731
    assert pick("largest") == (2,)
    assert pick("smallest") == (0,)
    assert choose_channels("l", Share(channels=(0, 2)), "largest", score, 0) == (
        0,
        2,
    )
    with pytest.raises(SchemeError, match="no input channel 5"):
        choose_channels("l", Share(channels=(5,)), "largest", score, 0)


@pytest.mark.parametrize(
    ("fraction", "count"), [(0.01, 1), (0.14, 1), (0.15, 2), (0.25, 3), (0.5, 5), (1.0, 10)]
)
@pytest.mark.parametrize("choice", ["largest", "smallest", "random"])
def test_a_share_is_rounded_and_never_nothing(choice: str, fraction: float, count: int) -> None:
    found = choose_channels("l", Share(fraction), choice, np.arange(10.0), 3)
    assert len(set(found)) == count and list(found) == sorted(found)
    assert set(found) <= set(range(10)) and all(type(c) is int for c in found)


def test_of_equal_channels_the_first_are_taken() -> None:
    score = np.array([1.0, 2.0, 1.0, 2.0, 2.0])
    assert choose_channels("l", Share(0.4), "largest", score, 0) == (1, 3)
    assert choose_channels("l", Share(0.2), "smallest", score, 0) == (0,)
    assert choose_channels("l", Share(0.6), "smallest", score, 0) == (0, 1, 2)
    many = np.tile([1.0, 2.0], 200)
    assert choose_channels("l", Share(0.25), "largest", many, 0) == tuple(range(1, 200, 2))


def test_a_random_choice_is_of_its_layer_and_seed() -> None:
    def pick(layer: str, seed: int) -> tuple[int, ...]:
        return choose_channels(layer, Share(0.5), "random", np.zeros(64), seed)

    assert pick("conv_1", 7) == pick("conv_1", 7)
    assert len({pick("conv_1", 7), pick("conv_2", 7), pick("conv_1", 8)}) == 3


def test_listed_channels_reach_to_the_last() -> None:
    score = np.zeros(4)
    assert choose_channels("l", Share(channels=(3,)), "largest", score, 0) == (3,)
    with pytest.raises(SchemeError, match="no input channel 4") as caught:
        choose_channels("l", Share(channels=(4,)), "largest", score, 0)
    assert "its channels are 0 to 3" in str(caught.value)
