"""Two models in one firmware do not know of each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.host_programs import SANITIZERS, Compile, link


@pytest.mark.parametrize("flags", [SANITIZERS, ("-O3",)], ids=["sanitizers", "O3"])
def test_turns_do_not_matter(flags: tuple[str, ...], generated: Compile, tmp_path: Path) -> None:
    folders = [
        generated("first", seed=1),
        generated("second", seed=2, shape=(1, 3, 9, 5), scheme="last-1", classes=3, gradient="s16"),
    ]
    program = link("two_models.c", folders, tmp_path, flags=flags)

    def saved(turns: str) -> dict[str, str]:
        a, b, differ = program.run(turns).splitlines()
        assert differ == "1"
        return {"a": a, "b": b}

    fresh, alone_a, alone_b = saved(""), saved("a" * 12), saved("b" * 12)
    assert alone_a["a"] != fresh["a"] and alone_b["b"] != fresh["b"]
    assert alone_a["b"] == fresh["b"] and alone_b["a"] == fresh["a"]
    for turns in ("ab" * 12, "a" * 12 + "b" * 12, "b" * 12 + "a" * 12, "aabbbaab" * 3):
        both = saved(turns)
        assert both == {"a": alone_a["a"], "b": alone_b["b"]}, turns
