"""What packages of compiled models take, as archives and linked into one program for a core.

    python -m bench.packages DIR DIR

prints the table of docs/packages.md: each folder by itself, and all of them with one runtime.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import tinytrain
from tinytrain.manifest import read_manifest
from tinytrain.packages.ways import WAYS
from tinytrain.target import load_target
from tinytrain.toolchain.sections import measure

TARGET = load_target("mps2-an500")


def archive_bytes(folders: Sequence[Path]) -> dict[str, int]:
    """Bytes of the archive of each way."""
    with tempfile.TemporaryDirectory() as place:
        return {
            way.name: tinytrain.package(folders, as_=way.name, output=place).nbytes for way in WAYS
        }


def program_bytes(folders: Sequence[Path]) -> int:
    """Flash of a program that trains every model, without start-up code, for `TARGET`."""
    names = [read_manifest(folder).name for folder in folders]
    with tempfile.TemporaryDirectory() as text:
        place = Path(text)
        made = tinytrain.package(folders, as_="cmake", output=place)
        subprocess.run(["tar", "xf", str(made.path), "-C", text], check=True)
        (root,) = (path for path in place.iterdir() if path.is_dir())
        lines = [f'#include "{name}.h"\nstatic {name}_state {name};' for name in names]
        calls = [f"{name}_init(&{name}); {name}_train_step(&{name}, 0, 0);" for name in names]
        (root / "src" / "main.c").write_text(
            "\n".join([*lines, "int main(void) {", *calls, "return 0; }\n"])
        )
        sources = sorted(map(str, (root / "src").glob("*.c")))
        command = [TARGET.compiler, "-O2", *TARGET.compile_flags, *TARGET.link_flags]
        include = [f"-I{root / 'include'}", f"-I{root / 'src'}", "-Wl,-e,main"]
        subprocess.run([*command, *include, *sources, "-o", str(place / "p")], check=True)
        sizes = measure(place / "p")
    return sizes.text + sizes.rodata + sizes.data


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    folders: list[Path] = parser.parse_args().folders
    columns = [[folder] for folder in folders]
    columns += [folders] if len(folders) > 1 else []
    heads = [" and ".join(read_manifest(folder).name for folder in column) for column in columns]
    print(f"| bytes | {' | '.join(heads)} |")
    print(f"|---|{'---|' * len(heads)}")
    archives = [archive_bytes(column) for column in columns]
    for way in WAYS:
        print(f"| `{way.name}` | {' | '.join(f'{one[way.name]:,}' for one in archives)} |")
    linked = [program_bytes(column) for column in columns]
    print(f"| flash of a program for {TARGET.core} | {' | '.join(f'{one:,}' for one in linked)} |")


if __name__ == "__main__":
    main()
