"""The store on simulated memories of all kinds: power cuts everywhere, failures, wear."""

from __future__ import annotations

import pytest

from tests.support.host_programs import SANITIZERS, Compile, Program, link

MEDIA = {
    "STM32F4: two sectors of 16 KB, words": (2, 16384, 4, 16384),
    "NOR over SPI: 4 KB, bytes": (3, 4096, 1, 4096),
    "unequal sectors": (4, 4096, 8, 0),
    "pages of 512 bytes": (2, 8192, 512, 4096),
    "FRAM": (2, 2048, 1, 1),
    "EEPROM in words": (3, 2048, 4, 1),
}
"""Slots, bytes of each, program unit, erase unit: 0 erases a slot by one call, 1 needs none."""


@pytest.fixture(scope="module")
def program(generated: Compile, tmp_path_factory: pytest.TempPathFactory) -> Program:
    folder = generated("small", scheme="head", schedule="constant")
    flags = (*SANITIZERS, "-O2")
    return link("store.c", [folder], tmp_path_factory.mktemp("store"), flags=flags)


@pytest.mark.parametrize("medium", MEDIA)
def test_loses_nothing(medium: str, program: Program) -> None:
    word, cuts = program.run(*MEDIA[medium], 20).split()
    assert word == "ok"
    assert int(cuts) > 100


@pytest.mark.slow
def test_thousand_commits(program: Program) -> None:
    word, cuts = program.run(*MEDIA["unequal sectors"], 1000).split()
    assert word == "ok"
    assert int(cuts) > 10_000
