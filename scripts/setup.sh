#!/usr/bin/env bash
# Sets up everything that tinytrain needs; `make setup` runs it, and the targets that need it.
#
#   system packages   compilers for this machine, for Cortex-M and for RISC-V, emulators: installed
#                     through apt-get as root or with a sudo that asks nothing; otherwise named, and
#                     exit 1
#   browser           Chromium, for the tests of the report's page; they are skipped where it cannot be
#                     installed
#   Node.js           for the simulator of a Pico, which a test gets by npm; likewise
#   .venv             Python environment with tinytrain itself and what its tests use
#
# What is there already stays; when all is there it is done in well under a second.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=.venv
stamp=$venv/.tinytrain-setup

say() { printf 'setup: %s\n' "$*"; }
has() { command -v "$1" >/dev/null 2>&1; }

# Prints the first Python of a usable version, nothing if there is none. Above 3.13 PyTorch and OR-Tools
# of the versions in pyproject.toml come without ready-made packages.
find_python() {
    local candidate
    for candidate in ${PYTHON:-} python3 python3.11 python3.12 python3.13; do
        if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
            >/dev/null 2>&1; then
            echo "$candidate"
            return
        fi
    done
}

venv_works() { "$venv/bin/python" -m pip --version >/dev/null 2>&1; }

# Prints Debian's packages for what is missing, one a line.
missing_packages() {
    has gcc && has ld || printf '%s\n' gcc libc6-dev
    has make || echo make
    has cmake || echo cmake
    has clang || echo clang
    ls "$(clang -print-resource-dir 2>/dev/null)"/lib/linux/libclang_rt.asan* >/dev/null 2>&1 ||
        echo libclang-rt-dev
    has arm-none-eabi-gcc || echo gcc-arm-none-eabi
    # gcc prints the bare name of a file that it does not find; newlib comes in a package of its own.
    case "$(arm-none-eabi-gcc -print-file-name=nano.specs 2>/dev/null)" in
    */*) ;;
    *) echo libnewlib-arm-none-eabi ;;
    esac
    has qemu-system-arm || echo qemu-system-arm
    has riscv64-unknown-elf-gcc || echo gcc-riscv64-unknown-elf
    case "$(riscv64-unknown-elf-gcc -print-file-name=picolibc.specs 2>/dev/null)" in
    */*) ;;
    *) echo picolibc-riscv64-unknown-elf ;;
    esac
    has qemu-system-riscv32 || echo qemu-system-misc
    has gdb-multiarch || echo gdb-multiarch
    has xtensa-lx106-elf-gcc || echo gcc-xtensa-lx106
    [ -d /usr/lib/xtensa-lx106-elf/include ] || echo picolibc-xtensa-lx106-elf
    if ! [ -x "$venv/bin/python" ]; then
        local python
        python=$(find_python)
        if [ -z "$python" ]; then
            printf '%s\n' python3 python3-venv
        elif ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
            echo python3-venv
        fi
    fi
}

install_packages() {
    local as_root=()
    local command="apt-get install -y --no-install-recommends $*"
    if [ "$(id -u)" -ne 0 ]; then
        if has sudo && sudo -n true 2>/dev/null; then
            as_root=(sudo -n)
        else
            say "these system packages are missing, and I may not install them: $*" >&2
            say "as root, run: $command" >&2
            exit 1
        fi
    fi
    if ! has apt-get; then
        say "these packages (by Debian's names) are missing, and there is no apt-get: $*" >&2
        exit 1
    fi
    say "installing system packages: $*"
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

mapfile -t packages < <(missing_packages)
if [ "${#packages[@]}" -gt 0 ]; then
    install_packages "${packages[@]}"
    mapfile -t packages < <(missing_packages)
    if [ "${#packages[@]}" -gt 0 ]; then
        say "still missing after the installation: ${packages[*]}" >&2
        exit 1
    fi
fi

# Packages are installed again when pyproject.toml has changed or the checkout has moved: the
# environment holds its absolute path.
wanted="$(sha256sum pyproject.toml | cut -d ' ' -f 1) $PWD"
if ! [ -f "$stamp" ] || [ "$(cat "$stamp")" != "$wanted" ] || ! [ -x "$venv/bin/tinytrain" ]; then
    if ! venv_works; then
        python=$(find_python)
        if [ -z "$python" ]; then
            say "no Python from 3.11 to 3.13 is installed; name one: make setup PYTHON=..." >&2
            exit 1
        fi
        say "making $venv with $("$python" --version)"
        "$python" -m venv --clear "$venv"
    fi
    # Nothing but tests of the report's page needs a browser, and Ubuntu has none as a package: they
    # are skipped where it cannot be had.
    if ! has chromium && ! has google-chrome; then
        (install_packages chromium) || say "going on without a browser; some tests are skipped"
    fi
    # One test alone: an old compiler takes the runtime.
    has avr-gcc || (install_packages gcc-avr avr-libc) || say "going on without gcc for AVR"
    # The same of a Pico's simulator, which runs in Node.js.
    if ! has node || ! has npm; then
        (install_packages nodejs npm) || say "going on without Node.js; a test is skipped"
    fi
    say "installing Python packages into $venv; the first time takes some minutes"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
    echo "$wanted" >"$stamp"
    say "done; the command is $venv/bin/tinytrain"
fi
