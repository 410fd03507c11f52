"""The statuses of the C API stand in tinytrain.h; Python knows them by their values."""

from __future__ import annotations

import re

from tinytrain import resources
from tinytrain.simulation.status import STATUS


def test_python_names_every_status_by_its_value() -> None:
    text = (resources.folder("runtime_c") / "include" / "tinytrain.h").read_text("utf-8")
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    found = re.search(r"typedef enum \{([^}]*)\} tt_status;", text)
    assert found, "tinytrain.h has no enumeration tt_status"
    members = [member.strip() for member in found[1].split(",") if member.strip()]
    # Whatever comes later than the first counts on from it.
    assert members[0] == "TT_OK = 0" and not any("=" in member for member in members[1:])
    names = ["TT_OK", *members[1:]]
    assert names == list(STATUS), "write tt_status of tinytrain.h into STATUS of protocol.py"
