"""Generated C keeps the width of the style, and breaks statements where clang-format would."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.onnx_models import quantized_model
from tests.support.paths import ROOT
from tinytrain.compiler.compile import compile_model
from tinytrain.manifest.file import read_manifest
from tinytrain.toolchain.c_layout import WIDTH, lay_out
from tinytrain.toolchain.template import render

OPTIONS: dict[str, dict[str, object]] = {
    "all of it": {"scheme": "full", "momentum": 0.9, "accumulate": 4, "clip_norm": 1.0},
    "slots in the state": {"scheme": "last-1", "replay": 4, "schedule": "cosine:100"},
    "slots in flash": {"scheme": "last-1", "replay": 4, "replay_in": "flash"},
    "what is normal": {"scheme": "last-1", "anomaly": "covariance", "target": "mps2-an500"},
    "errors": {"scheme": "last-1", "anomaly": "error", "loss": "mean_squared_error"},
    "rows": {"scheme": "last-1", "feed": "rows", "target": "mps2-an500"},
    "targets": {"scheme": "last-1", "loss": "mean_squared_error", "gradient": "f32"},
    "in between": {"scheme": "full", "portions": 0.01, "concurrent": True, "target": "mps2-an500"},
    "kept in portions": {"scheme": "last-1", "portions": 0.01, "replay": 4, "replay_in": "flash"},
    "one channel at a time": {"scheme": "full", "target": "mps3-an547", "health": False},
}
LONG_NAME = "a_name_as_long_as_any_that_a_model_may_have_x" + "yz0"


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("name", ["m", LONG_NAME])
def test_no_generated_line_is_longer(name: str, options: dict[str, object], tmp_path: Path) -> None:
    model = quantized_model(tmp_path / "model.onnx", shape=(1, 3, 12, 12))
    compile_model(str(model), output=tmp_path / "out", name=name, **{"target": "host", **options})
    interface = read_manifest(tmp_path / "out").interface
    library = render("codegen", "library.c.j2", NAME=name.upper(), **vars(interface))
    (tmp_path / "out" / "library.c").write_text(library, encoding="utf-8")
    files = sorted((tmp_path / "out").rglob("*.[ch]"))
    assert f"{name}_constants.c" in {file.name for file in files}
    long = [
        f"{file.name}:{number}: {line}"
        for file in files
        for number, line in enumerate(file.read_text("utf-8").splitlines(), 1)
        if len(line) > WIDTH
    ]
    assert not long, "\n".join(long)


def clang_formatted(text: str) -> str:
    command = [Path(sys.executable).with_name("clang-format"), "--assume-filename=runtime_c/x.c"]
    done = subprocess.run(command, cwd=ROOT, input=text, capture_output=True, text=True, check=True)
    return done.stdout


def test_functions_look_as_clang_format_would_have_them(tmp_path: Path) -> None:
    """Tables aside, of which it makes columns, and the sum of the sizes of a saved file."""
    model = quantized_model(tmp_path / "model.onnx", shape=(1, 3, 12, 12))
    compile_model(str(model), output=tmp_path / "out", name="small", target="mps2-an500")
    text = (tmp_path / "out" / "src" / "small.c").read_text("utf-8")
    text = re.sub(r"(?ms)^(static )?const [^\n]*\{$.*?;$", "", text)
    text = re.sub(r"(?ms)^_Static_assert\(sizeof.*?;$", "", text)
    text = re.sub(r"\n{3,}", "\n\n", text)
    assert text == clang_formatted(text)


STATEMENTS = {
    "fits": ("f(a, b);", ["f(a, b);"]),
    "behind the bracket": (
        f"    call({'first' * 9}, {'second' * 4}, {'third' * 5});",
        [f"    call({'first' * 9}, {'second' * 4},", f"         {'third' * 5});"],
    ),
    "on lines of its own": (
        f"    {'long' * 14}({'first' * 9}, {'second' * 4});",
        [f"    {'long' * 14}(", f"        {'first' * 9}, {'second' * 4});"],
    ),
    "behind what it is assigned to": (
        f"    const int32_t {'result' * 6} = {'function' * 5}({'value' * 5});",
        [f"    const int32_t {'result' * 6} =", f"        {'function' * 5}({'value' * 5});"],
    ),
    "a literal stays whole": (
        f'    puts("{"a, b (" * 14}", {"x" * 20});',
        [f'    puts("{"a, b (" * 14}",', f"         {'x' * 20});"],
    ),
    "a table": (
        f"static const type name = {{.{'one' * 13} = 1, .{'two' * 13} = 2}};",
        ["static const type name = {", f"    .{'one' * 13} = 1, .{'two' * 13} = 2}};"],
    ),
    "operands": (
        f"    if ({'left' * 12} && {'right' * 10}) {{",
        [f"    if ({'left' * 12} &&", f"        {'right' * 10}) {{"],
    ),
    "either": (
        f"    return {'is' * 12} ? {'yes' * 12} : {'no' * 18};",
        [f"    return {'is' * 12} ? {'yes' * 12}", f"           : {'no' * 18};"],
    ),
    "a directive": (
        f"#define {'NAME' * 13} {'value' * 10}",
        [f"#define {'NAME' * 13} \\", f"    {'value' * 10}"],
    ),
    "a comment": (
        f"/* {'word ' * 20}end. */",
        [f"/* {'word ' * 18}word", " * word end. */"],
    ),
    "a comment behind a line": (
        f"    int {'name' * 12}; /* {'word ' * 9}*/",
        [f"    /* {'word ' * 9}*/", f"    int {'name' * 12};"],
    ),
}


@pytest.mark.parametrize(("text", "wanted"), STATEMENTS.values(), ids=STATEMENTS)
def test_statements(text: str, wanted: list[str]) -> None:
    assert lay_out(text).split("\n") == wanted
    assert lay_out(lay_out(text)) == lay_out(text)


def test_what_is_indented_in_a_comment_stays() -> None:
    text = f"/* {'word ' * 22}\n *\n *     code(of,\n *          two);\n * {'word ' * 22}\n */"
    lines = lay_out(text).split("\n")
    assert lines[2:5] == [" *", " *     code(of,", " *          two);"]
    assert lines[-1] == " */" and max(map(len, lines)) <= WIDTH
