"""The example of one's own PyTorch model runs to its end and learns."""

import re

import pytest

from examples.pytorch import own_model


@pytest.mark.slow
def test_module_and_exported_program_learn_the_same(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    own_model.main()
    found = re.findall(r"knocked ([0-9.]+)%, after 2,000 steps ([0-9.]+)%", capsys.readouterr().out)
    assert len(found) == 2
    assert len(set(found)) == 1
    before, after = map(float, found[0])
    assert before < 40
    assert after > 65
