"""The kernel tests once more, on runtimes that stop at undefined behaviour."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.runtime.build import build, objects
from tests.support.runtime.rerun import run_kernel_tests

RECOVER = "-fno-sanitize-recover=all"


def address_sanitizer() -> dict[str, str]:
    """The environment in which Python can load a library that gcc built with -fsanitize=address."""
    found = subprocess.run(
        ["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True
    )
    return {"LD_PRELOAD": found.stdout.strip(), "ASAN_OPTIONS": "detect_leaks=0"}


def test_address_and_undefined(tmp_path: Path) -> None:
    library = build(tmp_path, "gcc", "-O1", "-g", "-fsanitize=address,undefined", RECOVER)
    done = run_kernel_tests(library, **address_sanitizer())
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def test_undefined_by_clang(tmp_path: Path) -> None:
    checks = "undefined,implicit-signed-integer-truncation"
    flags = (f"-fsanitize={checks}", "-fsanitize-trap=all")
    done = run_kernel_tests(build(tmp_path, "clang", "-O0", *flags))
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def test_a_read_past_the_end_is_seen(tmp_path: Path) -> None:
    """Without this, the tests above could pass because no sanitizer was at work."""

    def overrun(name: str, text: str) -> str:
        if name != "tt_lookup.c":
            return text
        wrong = text.replace(
            "for (size_t i = 0; i < size; i++)", "for (size_t i = 0; i <= size; i++)"
        )
        assert wrong != text
        return wrong

    library = build(tmp_path, "gcc", "-O0", "-fsanitize=address,undefined", RECOVER, change=overrun)
    done = run_kernel_tests(library, "-k", "test_lookup", **address_sanitizer())
    assert done.returncode != 0
    assert "heap-buffer-overflow" in done.stdout + done.stderr


@pytest.mark.parametrize("core", ["cortex-m0", "cortex-m7", "cortex-m55"])
def test_clean_on_arm(core: str) -> None:
    flags = ("-O2", "-mthumb", f"-mcpu={core}", "-ffunction-sections")
    assert objects("arm-none-eabi-gcc", *flags)
