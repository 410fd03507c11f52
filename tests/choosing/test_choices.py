"""What a model leaves to choose."""

from __future__ import annotations

import pytest

from tests.support.graphs import FULL, Net
from tests.support.random_networks import network
from tinytrain.choosing.choices import RATIOS, Choices, scheme_key, trainable_layers
from tinytrain.errors import ModelError
from tinytrain.ir.graph import Graph
from tinytrain.passes.select_trainable import weighted_layers
from tinytrain.scheme.scheme import Scheme, Share


def small() -> Graph:
    """Layers with one, eight and sixteen input channels, one of them depthwise."""
    net = Net((1, 8, 8, 1), 0, "small")
    x = net.conv(net.x, 8, clamp="relu")
    x = net.conv(x, 8, groups=8, clamp="relu")
    x = net.conv(x, 16, kernel=(1, 1), padding=(0, 0, 0, 0), clamp=FULL)
    return net.finish(net.dense(net.flat(x), 3))


def test_ratios_that_train_the_same_channels_are_one() -> None:
    choices = Choices.of(small())
    first, depthwise, last = choices.layers
    assert choices.ratios == {first: (0.0, 1.0), depthwise: RATIOS, last: RATIOS}
    assert choices.counts == (0, 1, 2, 3)


def test_where_rows_arrive_the_first_layer_is_frozen() -> None:
    choices = Choices.of(small(), fed=True)
    assert choices.counts == (0, 1, 2)
    assert choices.layers[0] not in choices.ratios


def test_a_scheme_is_what_was_picked() -> None:
    choices = Choices.of(small(), choice="random")
    _, depthwise, last = choices.layers
    scheme = choices.scheme(2, {last: 0.25, depthwise: 0.0})
    assert scheme == Scheme("found", (depthwise, last), {last: Share(0.25)}, "random")
    assert choices.picked(scheme) == (2, {last: 0.25})
    for other in (Scheme("x", (depthwise,)), Scheme("x", (last,), {last: Share(0.3)})):
        with pytest.raises(ModelError, match="none of those that can be chosen"):
            choices.picked(other)


def test_raising_takes_the_biases_along() -> None:
    choices = Choices.of(small())
    first, depthwise, last = choices.layers
    raised = {(layer, ratio): s for layer, ratio, s in choices.raised(choices.scheme(1, {}))}
    assert set(raised) == {
        (first, 1.0),
        *((layer, ratio) for layer in (depthwise, last) for ratio in RATIOS[1:]),
    }
    assert raised[depthwise, 0.5].biases == (depthwise, last)
    assert raised[last, 1.0].biases == (last,)


@pytest.mark.parametrize("seed", range(4))
def test_every_layer_of_a_network_can_train(seed: int) -> None:
    graph = network(seed)
    assert trainable_layers(graph) == set(weighted_layers(graph))


def test_the_name_of_a_scheme_does_not_tell_it_apart() -> None:
    one, other = Scheme("a", ("x",), {"x": Share()}), Scheme("b", ("x",), {"x": Share()})
    assert scheme_key(one) == scheme_key(other) != scheme_key(Scheme("a", ("x",)))
