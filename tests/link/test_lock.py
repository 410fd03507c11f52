"""A locked link: nothing that comes over the wire changes what was learned but a signed file."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import tinytrain
from tests.support.boards import DIGITS, X, Y, emulated_board, host_board
from tests.support.cryptography_sources import cryptography
from tests.support.host_programs import PROGRAMS
from tests.support.library_boards import BadLine, LibraryBoard, Mac
from tests.support.paths import ROOT
from tinytrain import DataError, Product, UsageError
from tinytrain.cli import main
from tinytrain.link.board import Board
from tinytrain.link.frames import Frame, FrameReader
from tinytrain.link.table import MESSAGES, STATUSES
from tinytrain.saved_file import read_saved
from tinytrain.simulation.folder import open_folder
from tinytrain.simulation.status import STATUS

LEAST = 5
LOCKED = next(status.value for status in STATUSES.values() if status.name == "LOCKED")
UNKNOWN = next(status.value for status in STATUSES.values() if status.name == "UNKNOWN")
SIGNATURE, OLD = STATUS.index("TT_ERROR_SIGNATURE"), STATUS.index("TT_ERROR_OLD")
Locked = Callable[..., tuple[LibraryBoard, Board]]


def samples(folder: Path, count: int) -> list[bytes]:
    spec = open_folder(folder).spec
    inputs = np.clip(np.rint(X / spec.scale) + spec.zero_point, -128, 127).astype(np.int8)
    return [inputs[k].tobytes() + np.int32(Y[k]).tobytes() for k in range(count)]


def opened(board: LibraryBoard, damage: float = 0.0) -> Board:
    return Board(BadLine(board, damage, 1).client())


def board_of(folder: Path, place: Path) -> LibraryBoard:
    return LibraryBoard(folder, open_folder(folder).manifest.interface, place)


@pytest.fixture(scope="module")
def held(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> LibraryBoard:
    return board_of(folder, tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def learned(held: LibraryBoard, folder: Path) -> bytes:
    held.reset()
    host = opened(held)
    for sample in samples(folder, 5):
        host.run("train", sample)
    return host.save()


@pytest.fixture
def locked(held: LibraryBoard, learned: bytes) -> Locked:
    def make(mac: Mac, damage: float = 0.0) -> tuple[LibraryBoard, Board]:
        held.reset()
        assert held.set_lock(mac, LEAST) == 0
        return held, opened(held, damage)

    return make


def raw(host: Board, data: bytes) -> int:
    """Sends a file as somebody does who asks nobody; gives the status of LOAD."""
    for offset, piece in host._pieces(data):
        if host.client.ask("write", piece, offset=offset).status:
            break
    return host.client.ask("load", flags=0).status


@pytest.mark.parametrize("damage", [0.0, 0.03], ids=["a good line", "a bad line"])
def test_a_signed_file_is_taken_once(damage: float, locked: Locked, learned: bytes) -> None:
    mac = Mac()
    board, host = locked(mac, damage)
    assert host.lock is not None and (host.lock.least, host.lock.tag) == (LEAST, 32)
    host.load(mac.signed(learned, LEAST + 3))
    assert board.saved() == learned and not board.receives
    assert board.least_counter == LEAST + 4 and host.lock.least == LEAST + 4
    with pytest.raises(DataError, match=r"too old for the board: its counter is 8, and 9 is the"):
        host.load(mac.signed(learned, LEAST + 3))
    assert raw(host, mac.signed(learned, LEAST + 3)) == OLD
    host.load(mac.signed(learned, 2**32 - 1))
    assert board.least_counter == 2**32 - 1
    assert raw(host, mac.signed(learned, 2**32 - 2)) == OLD


def test_nothing_else_is_taken(locked: Locked, learned: bytes) -> None:
    mac = Mac()
    board, host = locked(mac)
    before, good = board.saved(), mac.signed(learned, LEAST)
    for at in (0, 9, 50, len(learned) - 1, len(learned), len(learned) + 5, -33, -32, -1):
        wrong = bytearray(good)
        wrong[at] ^= 1
        assert raw(host, bytes(wrong)) == SIGNATURE, at
    # The last two are longer than any file: what does not fit in was not taken.
    for wrong in (
        b"", learned, good[:-1], good[:-33], good + b"\0", Mac(b"another").signed(learned, LEAST),
        learned + bytes(72), good + bytes(200),
    ):  # fmt: skip
        assert raw(host, bytes(wrong)) == SIGNATURE
    assert raw(host, mac.signed(learned, LEAST - 1)) == OLD
    # Signed, and no file of this model: NAME_load says what it says of any.
    other = learned[:8] + bytes(32) + learned[40:]
    for wrong, name in ((other, "MODEL"), (learned[:-1] + b"\0", "CRC"), (b"x" * 99, "FORMAT")):
        assert STATUS[raw(host, mac.signed(bytes(wrong), LEAST))] == f"TT_ERROR_{name}"
    assert board.saved() == before and board.least_counter == LEAST
    assert raw(host, good) == 0 and board.saved() == learned


def test_every_message(locked: Locked, folder: Path, learned: bytes) -> None:
    """Whatever is asked but signed parameters, what was learned stays; and HELLO says what is
    answered."""
    mac = Mac()
    board, host = locked(mac)
    host.load(mac.signed(learned, LEAST))
    (sample,) = samples(folder, 1)
    of_model = {*host.hello.messages}
    for message in MESSAGES.values():
        asked = {member.name: 0 for member in message.question.members}
        data = (
            sample if message.name in ("infer", "evaluate", "train", "learn", "remember") else b""
        )
        status = host.client.ask(message.name, data, **asked).status
        assert (status == LOCKED) == (message.when == "unlocked"), message.name
        assert message.name not in of_model or status in (0, 1, *range(66, 71), SIGNATURE)
        assert board.saved() == learned, message.name
    board.reset()
    other = opened(board)
    always = {name for name in other.hello.messages if MESSAGES[name].when == "always"}
    assert of_model == always | {"signed"} and len(always) > 8
    assert other.client.ask("signed", flags=0).status == UNKNOWN


def test_hostile_frames(locked: Locked, learned: bytes) -> None:
    """Any body with a right checksum, in any order."""
    mac = Mac()
    board, _ = locked(mac)
    before, random = board.saved(), np.random.default_rng(3)
    board.take(Frame(0, MESSAGES["hello"].type, 0, bytes(4)).encoded())
    good, said = mac.signed(learned, LEAST - 1), []
    for number in range(1, 3000):
        type_ = int(random.integers(0, 24)) if random.random() < 0.4 else MESSAGES["write"].type
        at = int(random.integers(len(good)))
        body = struct.pack("<I", at) + good[at : at + 240]
        body = bytes(random.integers(0, 2, int(random.integers(60)), np.uint8)) if (
            random.random() < 0.3
        ) else body  # fmt: skip
        type_ = MESSAGES["load"].type if random.random() < 0.02 else type_
        body = bytes(4) if type_ == MESSAGES["load"].type else body
        type_ = 0 if type_ == MESSAGES["hello"].type else type_
        (found,) = FrameReader().frames(board.take(Frame(number, type_, 0, body).encoded()))
        said.append(found.status)
    assert board.saved() == before and board.least_counter == LEAST
    assert {LOCKED, SIGNATURE} <= set(said)


def test_an_interrupted_transfer_goes_on(locked: Locked, learned: bytes) -> None:
    mac = Mac()
    board, host = locked(mac)
    before, good = board.saved(), mac.signed(learned, LEAST)

    class Enough(Exception):
        pass

    def stop(done: int, whole: int) -> None:
        if done > whole // 2:
            raise Enough

    with pytest.raises(Enough):
        host.load(good, stop)
    assert board.saved() == before and board.receives
    sent: list[int] = []
    opened(board).load(good, lambda done, whole: sent.append(done))
    assert sent[0] > len(good) // 2 and board.saved() == learned and not board.receives


@pytest.mark.parametrize("lies_in", range(4))
def test_memory_that_changes_its_answer(lies_in: int, locked: Locked, learned: bytes) -> None:
    """Each pass is verified: the state is as it was, at the factory, or has the file."""
    mac = Mac()
    board, host = locked(mac)
    host.load(mac.signed(learned, LEAST))
    board.reset()
    factory = board.saved()
    host = opened(board)
    host.run("train", learned[-host.hello.input_bytes - 4 : -4] + bytes(4))
    other = board.saved()
    mac = Mac()
    mac.lies_in = lies_in
    board.set_lock(mac, LEAST)
    status = raw(opened(board), mac.signed(learned, LEAST))
    wanted = [other, other, factory, learned][lies_in]
    assert (status == 0) == (lies_in == 3) and board.saved() == wanted
    assert board.least_counter == (LEAST + 1 if lies_in == 3 else LEAST)


def test_what_the_host_says(locked: Locked, folder: Path, learned: bytes) -> None:
    mac = Mac()
    _, host = locked(mac)
    (sample,) = samples(folder, 1)
    with pytest.raises(UsageError, match="link is locked: it takes parameters as signed files"):
        host.run("train", sample)
    with pytest.raises(DataError, match="signed files alone, and this one is not signed") as error:
        host.load(learned)
    assert f"--counter {LEAST} -o" in str(error.value.help)
    with pytest.raises(DataError, match="tag has 16 bytes, and the board's signer takes 32"):
        host.load(Mac(tag=16).signed(learned, LEAST))
    with pytest.raises(DataError, match="finds the signature wrong: the file was changed, or"):
        host.load(Mac(b"another").signed(learned, LEAST))


def test_a_link_without_a_lock_takes_no_signed_file(held: LibraryBoard, learned: bytes) -> None:
    held.reset()
    host = opened(held)
    with pytest.raises(DataError, match="are signed, and the board's link has no lock"):
        host.load(Mac().signed(learned, 1))


@pytest.mark.parametrize("tag", [65, 1000])
def test_a_lock_that_fits_no_signer_takes_nothing(
    tag: int, held: LibraryBoard, learned: bytes
) -> None:
    held.reset()
    mac = Mac(tag=tag)
    before = held.saved()
    assert held.set_lock(mac, 0) == SIGNATURE
    assert raw(opened(held), mac.signed(learned, 9)[: len(learned) + 72]) == SIGNATURE
    assert held.saved() == before


@pytest.mark.slow
def test_samples_behind_the_parameters(tmp_path: Path) -> None:
    """A device that signs for itself signs its replay buffer, too: the file is larger than the
    arena, and its end lies in the lock."""
    folder = tmp_path / "own"
    tinytrain.compile_model(
        DIGITS, output=folder, name="own", calibration=X, target="host", scheme="head", link=True,
        replay=400, health=False,
    )  # fmt: skip
    assert "rest[" in (folder / "src" / "own_link.h").read_text()
    board = board_of(folder, tmp_path / "cache")
    host = opened(board)
    for sample in samples(folder, 6):
        host.run("learn", sample)
    learned = host.save()
    assert read_saved(learned).samples
    board.reset()
    before, mac = board.saved(), Mac()
    board.set_lock(mac, LEAST)
    host = opened(board)
    good = mac.signed(learned, LEAST)
    wrong = bytearray(good)
    wrong[len(learned) - 9] ^= 1
    assert raw(host, bytes(wrong)) == SIGNATURE and board.saved() == before
    passes = mac.passes
    host.load(good)
    assert board.saved() == learned
    # The last pass ends before the samples, and is verified all the same.
    mac.passes, mac.lies_in = 0, mac.passes - passes - 1
    status = raw(host, mac.signed(learned, LEAST + 1))
    assert (mac.passes, STATUS[status]) == (mac.lies_in + 1, "TT_ERROR_RESET")
    assert board.saved() == before


@pytest.fixture(scope="module")
def firmware(product: Product, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with a program of its own, which is locked by Ed25519; keys and files beside."""
    pytest.importorskip("cwt", reason="the package cwt is missing")
    from cryptography.hazmat.primitives import serialization as pem
    from cryptography.hazmat.primitives.asymmetric import ed25519

    place = tmp_path_factory.mktemp("firmware")
    own = place / "own"
    shutil.copytree(product.directory, own, ignore=shutil.ignore_patterns("build"))
    private = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))
    for name, key in (("key", private), ("other", ed25519.Ed25519PrivateKey.generate())):
        how = (pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.NoEncryption())
        (place / f"{name}.pem").write_bytes(key.private_bytes(*how))
    public = private.public_key().public_bytes_raw()
    text = f"static const uint8_t public_key[] = {{{', '.join(map(str, public))}}};\n"
    (own / "src" / "public_key.h").write_text("#include <stdint.h>\n" + text)
    shutil.copy(PROGRAMS / "link_locked.c", own / "port" / "main_link.c")
    signers = ROOT / "examples" / "signing"
    for file in (*signers.glob("*.[ch]"), *(PROGRAMS / "supercop").glob("*.[ch]")):
        shutil.copy(file, own / "src")
    for source in cryptography():
        for file in (source, *source.parent.glob("*.h"), *source.parent.glob("*.data")):
            shutil.copy(file, own / "src")
    return place


@pytest.mark.slow
@pytest.mark.parametrize("where", ["this machine", "mps2-an500"])
def test_a_firmware_that_verifies(
    where: str, product: Product, firmware: Path, data: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """What `sign` writes, over a line, to a program that Ed25519 locks; as a user would."""
    for command in () if where == "this machine" else ("qemu-system-arm", "arm-none-eabi-gcc"):
        if shutil.which(command) is None:
            pytest.skip(f"{command} is missing")
    monkeypatch.chdir(firmware)
    session = {"data": data, "eval": data}
    host = tinytrain.simulate(
        product.directory, steps=10, learning_rate=0.003, save="better.bin", **session
    )
    for name, key, counter in (("good", "key", 7), ("late", "key", 8), ("foreign", "other", 9)):
        tinytrain.sign("better.bin", key=f"{key}.pem", counter=counter, output=name)
    own = firmware / "own"
    found = (
        host_board(own, flags=["-w"])
        if where == "this machine"
        else emulated_board(own, where, flags=["-w"])
    )
    with found as port:
        command = [
            "simulate",
            str(product.directory),
            "--on",
            f"serial:{port}",
            "--data",
            str(data),
        ]
        assert main([*command, "--eval", str(data), "--steps", "1"]) == 2
        assert "the board's link is locked" in capsys.readouterr().err
        command += ["--steps", "0", "--json", "--eval", str(data), "--load"]
        for name, what in (("better.bin", "is not signed"), ("foreign", "signature wrong")):
            assert main([*command, name]) == 4
            assert what in capsys.readouterr().err
        assert main([*command, "good"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["weights_sha256"] == host.weights_sha256
        assert told["accuracy_before"] == told["accuracy_after"] == host.accuracy_after
        assert main([*command, "good"]) == 4
        assert "its counter is 7, and 8 is the least" in capsys.readouterr().err
        with tinytrain.load(product.directory, on=f"serial:{port}") as device:
            known = device.evaluate(X, Y)
            device.load("late")
            assert device.evaluate(X, Y) == known
            for refused in (device.reset, lambda: device.train(X[:1], Y[:1]), device.state_dict):
                with pytest.raises(UsageError, match="the board's link is locked"):
                    refused()
        (reading,) = tinytrain.monitor(port, readings=1)
        assert reading.damaged == 0 and reading.refused > 0
