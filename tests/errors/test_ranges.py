"""What every option says of a value that it cannot have, to the letter; none is left out."""

from __future__ import annotations

import re

import pytest

from tinytrain.cli.command import COMMANDS
from tinytrain.cli.parser import parse
from tinytrain.compiler.options import OPTIONS, Options
from tinytrain.compiler.parameters import COMPILE
from tinytrain.errors import UsageError
from tinytrain.option import FILE, FOLDER, SWITCH, TEXT, Option
from tinytrain.searches.parameters import SEARCH

REQUIRED = {
    "compile": ["m.onnx", "-o", "out"],
    "simulate": ["out", "--data", "d.npz", "--steps", "1"],
    "experiment": ["e.toml"],
    "inspect": ["m.onnx"],
    "watch": ["out", "--data", "d.npz"],
    "search": ["m.onnx", "--data", "d.npz", "-o", "s.toml"],
    "package": ["out", "-o", "own.zip"],
    "flash": ["out"],
    "monitor": ["/dev/ttyACM0"],
    "sign": ["s.bin", "--key", "key.pem", "-o", "s.cose"],
}

LOSSES = "auto, cross_entropy, mean_squared_error, binary_cross_entropy or huber"

TOLD = """\
compile --ram=1.5K: --ram must be a size such as 262144, 256K or 1M, got '1.5K'
compile --flash=0: --flash must be a size such as 262144, 256K or 1M, got 0
compile --mean=grey: --mean must be a number, got 'grey'
compile --std=grey: --std must be a number, got 'grey'
compile --classes=1: --classes must be between 2 and 65535, got 1
compile --loss=hinge: --loss must be LOSSES, got 'hinge'
compile --learning-rate=hi: --learning-rate must be auto, race or a number between 0 and 1024, \
got 'hi'
compile --keep=all: --keep must be new or old, got 'all'
compile --rate-limit=no: --rate-limit must be auto or a number between 0 and 1024, got 'no'
compile --guard=-1: --guard must be between 0 and 2^31 - 1, got -1; 128 is common
compile --anomaly=some: --anomaly must be off, error, diagonal or covariance, got 'some'
compile --anomaly-warm-up=9: --anomaly-warm-up must be auto or between 16 and 16383, got 9
compile --anomaly-quantile=1: --anomaly-quantile must be between 0.5 and 0.9999, got 1
compile --anomaly-in-a-row=0: --anomaly-in-a-row must be between 1 and 1000, got 0
compile --warm-up=-1: --warm-up must be between 0 and 2^31 - 1, got -1
compile --optimizer=lion: --optimizer must be sgd or adam, got 'lion'
compile --momentum=1: --momentum must be between 0 and 0.999, got 1
compile --accumulate=0: --accumulate must be between 1 and 65535, got 0
compile --clip-norm=0: --clip-norm must be between 2^-20 and 2^20, got 0
compile --weight-decay=nan: --weight-decay must be between 0 and 1, got nan
compile --label-smoothing=1: --label-smoothing must be at least 0 and below 1, got 1; 0.1 is common
compile --gradient=f16: --gradient must be s8, s16 or f32, got 'f16'
compile --fraction-bits=3: --fraction-bits must be 0, 2, 4 or 8, got 3
compile --update=up: --update must be nearest or stochastic, got 'up'
compile --seed=4294967296: --seed must be between 0 and 2^32 - 1, got 4294967296
compile --ranges=all: --ranges must be mse, minmax or percentile, got 'all'
compile --weight-headroom=0.5: --weight-headroom must be between 1 and 64, got 0.5; \
use 4 to 8 to train from random weights, 1 to leave scales
compile --range-headroom=65: --range-headroom must be between 1 and 64, got 65; \
leave it out to widen both alike
compile --feed=bytes: --feed must be whole or rows, got 'bytes'
compile --recompute=101%: --recompute must be between 0% and 100%, got 101%
compile --portions=2: --portions must be a share such as 20% between 0% and 100%, got '2'
compile --instructions=0: --instructions must be between 1 and 2^40, got 0
compile --replay=65536: --replay must be between 0 and 65535, got 65536
compile --replay-in=sd: --replay-in must be ram or flash, got 'sd'
compile --enrol-classes=0: --enrol-classes must be between 1 and 65535, got 0
compile --rehearsal-slots=-1: --rehearsal-slots must be between 0 and 65535, got -1
simulate --on=board: --on must be host, qemu or serial:PORT, got 'board'
simulate --frozen-memory=some: --frozen-memory must be a size such as 262144, 256K or 1M, got 'some'
simulate --steps=2.5: --steps must be an integer between 0 and 10000000, got '2.5'
simulate --learning-rate=inf: --learning-rate must be between 0 and 1024, got inf
simulate --seed=-1: --seed must be between 0 and 2^32 - 1, got -1
simulate --order=sorted: --order must be shuffled, as-is, by-class or drift, got 'sorted'
simulate --replay-steps=1001: --replay-steps must be between 0 and 1000, got 1001
simulate --rehearsal-steps=1001: --rehearsal-steps must be between 0 and 1000, got 1001
simulate --evaluate-every=x: --evaluate-every must be an integer between 0 and 10000000, got 'x'
simulate --patience=65536: --patience must be between 0 and 65535, got 65536
watch --on=board: --on must be host or qemu, got 'board'
watch --steps=-1: --steps must be between 0 and 10000000, got -1
search --workers=0: --workers must be ray, ray://HOST:PORT or between 1 and 1024, got 0
experiment --workers=0: --workers must be ray, ray://HOST:PORT or between 1 and 1024, got 0
package --as=x: --as must be arduino, platformio, zephyr, esp-idf, cmsis-pack or cmake, got 'x'
flash --runner=x: --runner must be pyocd, openocd, probe-rs, gdb, uf2, dfu-util, esptool or \
stm32flash, got 'x'
monitor --interval=0: --interval must be between 0.05 and 3600, got 0
monitor --readings=0: --readings must be between 1 and 1000000000, got 0
sign --counter=-1: --counter must be between 0 and 2^32 - 1, got -1
""".replace("LOSSES", LOSSES).splitlines()


def refusal(words: list[str]) -> str:
    with pytest.raises(UsageError) as caught:
        parse(words)
    error = caught.value
    return f"{error.what}; {error.help}" if error.help else error.what


@pytest.mark.parametrize("line", TOLD, ids=lambda line: line.split(":")[0])
def test_a_value_out_of_range(line: str) -> None:
    words, told = line.split(": ", 1)
    command, option = words.split(" ")
    assert refusal([command, *REQUIRED[command], option]) == told


def is_limited(row: Option) -> bool:
    return bool(row.choices) or row.kind not in (TEXT, FILE, FOLDER, SWITCH)


def test_no_option_is_left_out() -> None:
    told = {re.sub(r"=.*", "", line) for line in TOLD}
    limited = {f"{c.name} {row.flag}" for c in COMMANDS for row in c.parameters if is_limited(row)}
    # They are those of `compile`, whose rows they share.
    shared = {flag for flag in limited if flag.startswith(("inspect ", "verify "))}
    rows = {f"search {row.flag}" for row in SEARCH if row in COMPILE}
    shared |= rows & limited
    assert {"compile " + flag.split(" ")[1] for flag in shared} <= told
    assert told == limited - shared


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"classes": 1}, "--classes must be between 2 and 65535, got 1"),
        ({"classes": "5"}, "--classes must be an integer between 2 and 65535, got '5'"),
        ({"classes": True}, "--classes must be an integer between 2 and 65535, got True"),
        ({"loss": None}, f"--loss must be {LOSSES}, got None"),
        ({"fraction_bits": 4.0}, "--fraction-bits must be 0, 2, 4 or 8, got 4.0"),
        ({"recompute": 20}, "--recompute must be between 0% and 100%, got 2000%"),
        ({"qas": 0}, "--no-qas must be true or false, got 0"),
        ({"name": 3}, "--name must be text, got 3"),
    ],
)
def test_python_is_told_the_same(given: dict[str, object], told: str) -> None:
    assert set(given) <= set(OPTIONS)
    with pytest.raises(UsageError) as caught:
        Options(**given)  # type: ignore[arg-type]
    assert caught.value.what == told
