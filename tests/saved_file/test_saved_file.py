"""The saved file as C describes it: its bytes stay, the page shows its members, readers refuse."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.pages import hold_section
from tests.support.saved_files import FORMAT, HEADER, SCALE, STEP
from tinytrain import resources, saved_file
from tinytrain.errors import InternalError
from tinytrain.saved_file import PARTS, layout, saved_bytes

REPLAY = ("tt_replay", "tt_replay_class")
GUARD = ("tt_guard", "tt_guard_class")
ANOMALY = ("tt_anomaly",)
HEADINGS = {
    "tt_saved_header": "header",
    "tt_replay": "head of the replay buffer",
    "tt_replay_class": "a class of the replay buffer",
    "tt_guard": "head of the guard",
    "tt_guard_class": "a class of the guard",
    "tt_anomaly": "head of what is normal",
    "tt_saved_scale": "scale",
    "tt_saved_step": "step",
    "tt_saved_end": "end",
}


def test_the_bytes_of_the_format() -> None:
    values = {"magic": b"TTRN", "format": FORMAT, "model_hash": bytes(range(32))}
    packed = layout("tt_saved_header").pack(**values, payload_size=1000, weights_size=900)
    assert packed == HEADER.pack(b"TTRN", FORMAT, bytes(range(32)), 1000, 900)
    assert layout("tt_saved_header").unpack(packed)["weights_size"] == 900
    assert layout("tt_saved_scale").pack(exponent=-7, running_max=9) == SCALE.pack(-7, 9)
    found = layout("tt_saved_step").pack(rate=0.5, compiled_rate=0.25, count=2**32 - 1)
    assert found == STEP.pack(0.5, 0.25, 2**32 - 1)
    assert saved_bytes(regions=100, scales=3) == 48 + 100 + 3 * 8 + 12 + 4


def rows() -> Iterator[str]:
    headers = {**dict.fromkeys(REPLAY, "tt_replay.h"), **dict.fromkeys(GUARD, "tt_guard.h")}
    headers |= dict.fromkeys(ANOMALY, "tt_anomaly.h")
    for name in (PARTS[0], *REPLAY, *GUARD, *ANOMALY, *PARTS[1:]):
        header = headers.get(name, "tt_saved_file.h")
        yield f"\n### {HEADINGS[name].capitalize()} (`{name}`)\n"
        yield "| offset | bytes | type | member | |\n|---|---|---|---|---|"
        for member in layout(name, header).members:
            kind = f"{member.c_type}[{member.count}]" if member.count > 1 else member.c_type
            place = f"| {member.offset} | {member.nbytes} | `{kind}` | `{member.name}` |"
            yield f"{place} {member.text} |"


def test_the_page_shows_every_member() -> None:
    hold_section("saved-file.md", "members", "\n".join(rows()) + "\n\n")


@pytest.mark.parametrize("body", ["uint64_t wide; /* x */", "int *place; /* x */", "float rate;"])
def test_what_cannot_be_read_is_no_layout(
    body: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "include").mkdir()
    text = f"typedef struct {{\n    uint32_t seed; /* of it */\n    {body}\n}} tt_other;\n"
    (tmp_path / "include" / "other.h").write_text(text)
    monkeypatch.setattr(resources, "folder", lambda name: tmp_path)
    with pytest.raises(InternalError, match=r"other\.h declares no structure tt_other"):
        layout("tt_other", "other.h")
    saved_file._text.cache_clear()
    saved_file._layouts.cache_clear()
