"""The rehearsal trains what it says, on the network that the compiler will see."""

import pytest
import torch

from examples.training import (
    Samples,
    SmallNetwork,
    folded,
    rehearse,
    trained_parameters,
)


@pytest.fixture
def network():
    torch.manual_seed(0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    network = SmallNetwork(1, 6, 7, stem_kernel=7, stem_stride=2, kernel=5)
    # Batch norms take the statistics of random inputs: those of a fresh one, 0 and 1, would let
    # a fold that ignores them pass, and activations vanish.
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.momentum = None
    with torch.no_grad():
        network(torch.randn(32, 6, 128))
    yield network.eval()
    torch.set_num_threads(threads)


def test_folding_keeps_the_function_and_leaves_no_batch_norm(network):
    plain = folded(network)
    assert not any(isinstance(m, torch.nn.BatchNorm1d) for m in plain.modules())
    x = torch.randn(8, 6, 128)
    torch.testing.assert_close(plain(x), network(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("scheme", "tensors"), [("head", 2), ("bias", 18), ("last-3", 8), ("full", 34)]
)
def test_a_scheme_frees_its_parameters_only(network, scheme, tensors):
    plain = folded(network)
    chosen = trained_parameters(plain, scheme)
    assert len(chosen) == tensors
    assert sum(p.requires_grad for p in plain.parameters()) == tensors


def test_an_unknown_scheme_is_refused(network):
    with pytest.raises(ValueError, match="no scheme 'most'"):
        trained_parameters(folded(network), "most")


@pytest.mark.parametrize("bits", [None, 4])
def test_rehearsal_learns_and_leaves_the_network_as_it_was(network, bits):
    before = {name: value.clone() for name, value in network.state_dict().items()}
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(7).repeat(4)
    templates = torch.randn(7, 6, 128, generator=generator)
    x = templates[y] + 0.3 * torch.randn(28, 6, 128, generator=generator)
    samples = Samples(x.numpy(), y.numpy())
    start, end = rehearse(
        network,
        samples,
        samples,
        scheme="full",
        rate=0.01,
        check_at=[1, 400],
        fraction_bits=bits,
    )
    assert end > max(0.8, start)
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])
