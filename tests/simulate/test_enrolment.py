"""Classes from a handful of samples on the digits' network: enrol, classify, forget, refuse."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import tinytrain
from examples.digits import data as digits
from examples.digits.story import MODEL
from tinytrain import DataError, Device, UsageError
from tinytrain.cli import main
from tinytrain.manifest import read_manifest
from tinytrain.reference.enrol import parse_method
from tinytrain.saved_file import read_saved

TRAINED, ADAPT, JUDGE = (
    digits.as_trained(digits.TRAIN),
    digits.as_it_is_now(digits.ADAPT),
    digits.as_it_is_now(digits.TEST),
)
OLD = digits.as_trained(digits.TEST)
NEW = 12
"""A label that the head does not have."""


@pytest.fixture(scope="module", params=["ncm", "knn:60"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("enrol") / "own"
    calibration = {"x": TRAINED.x[:256], "y": TRAINED.y[:256]}
    tinytrain.compile_model(
        MODEL, output=place, calibration=[calibration], scheme="head", enrol=request.param
    )
    return place


@pytest.fixture
def device(folder: Path) -> Iterator[Device]:
    with tinytrain.load(folder) as found:
        yield found


def five_a_class() -> np.ndarray:
    return np.concatenate([np.flatnonzero(ADAPT.y == label)[:5] for label in range(10)])


def accuracy(device: Device, images: digits.Images) -> float:
    return float(np.mean(device.classify(images.x).labels == images.y))


def test_a_handful_helps_and_the_old_world_stays(device: Device) -> None:
    before, old = accuracy(device, JUDGE), accuracy(device, OLD)
    chosen = five_a_class()
    device.enrol(ADAPT.x[chosen], ADAPT.y[chosen])
    assert device.enrolled.tolist() == [5] * 10 + [0] * 8
    assert accuracy(device, JUDGE) > before + 0.1
    assert accuracy(device, OLD) > old - 0.05


def test_a_new_class_joins_the_old_ones(device: Device) -> None:
    """White ink on black paper is a class of its own."""
    negatives = 1 - OLD.x
    device.enrol(negatives[:5], np.full(5, NEW))
    assert np.mean(device.classify(negatives[5:]).labels == NEW) > 0.8
    assert accuracy(device, OLD) > 0.8


def test_what_is_far_from_all_is_told_by_its_distance(device: Device) -> None:
    known = device.classify(OLD.x)
    strange = device.classify(np.random.default_rng(0).random((100, 1, 8, 8), np.float32))
    assert known.near is not None
    assert np.mean(known.distances > 2 * known.near) < 0.2
    assert np.mean(strange.distances > 2 * known.near) > 0.8
    assert np.median(known.margins) > np.median(strange.margins)


def test_forgetting_leaves_zeros(device: Device, tmp_path: Path) -> None:
    def state(name: str) -> bytes:
        device.save(tmp_path / name)
        return read_saved((tmp_path / name).read_bytes()).state

    empty = state("empty")
    device.enrol(ADAPT.x[:200], ADAPT.y[:200])
    full = device.enrolled
    device.forget_class(3)
    assert device.enrolled.tolist() == [0 if k == 3 else n for k, n in enumerate(full)]
    device.forget_all()
    assert not device.enrolled.any()
    assert state("forgotten") == empty

    # Class by class it comes to the same, but for the count of random numbers.
    device.enrol(ADAPT.x[:200], ADAPT.y[:200])
    for label in range(10):
        device.forget_class(label)
    assert state("by class")[4:] == empty[4:]


def test_the_arena_is_erased(folder: Path) -> None:
    with tinytrain.load(folder) as device:
        device.enrol(ADAPT.x[:9], ADAPT.y[:9])
        library = device._held
        assert library is not None
        arena = read_manifest(folder).ram["arena"]
        end = library._memory.view(np.uint8)[-arena:]
        assert end.any()
        device.forget_all()
        assert not end.any()


def test_an_edited_label_is_that_of_class_0(device: Device, tmp_path: Path) -> None:
    """Wherever it is read: it is counted, classified and forgotten as what it is taken for."""
    device.enrol(ADAPT.x[:1], [NEW])
    device.save(tmp_path / "saved")
    data = bytearray((tmp_path / "saved").read_bytes())
    record = device._folder.manifest.enrolment
    assert record is not None
    if record.slots == 0:
        return  # means have a place for each label, and none beyond
    labels = data.index(struct.pack("<H", NEW) + bytes(2 * record.slots - 2))
    data[labels : labels + 2] = b"\xff\xff"
    data[-4:] = struct.pack("<I", zlib.crc32(data[:-4]))
    (tmp_path / "edited").write_bytes(data)
    device.load(tmp_path / "edited")
    assert device.enrolled.tolist() == [1] + [0] * 17
    assert device.classify(ADAPT.x[:1]).label == 0
    device.forget_class(0)
    assert not device.enrolled.any()


def test_what_was_enrolled_is_saved(device: Device, folder: Path, tmp_path: Path) -> None:
    device.enrol(ADAPT.x[:50], ADAPT.y[:50])
    device.save(tmp_path / "own.bin")
    with tinytrain.load(folder) as other:
        other.load(tmp_path / "own.bin")
        assert other.enrolled.tolist() == device.enrolled.tolist()
        assert accuracy(other, JUDGE) == accuracy(device, JUDGE)


def test_a_session_shows_it_beside_the_head(folder: Path, device: Device, tmp_path: Path) -> None:
    """New labels among the samples: the head leaves them out, and a note says so."""
    y = np.where(np.arange(len(ADAPT.y)) % 5 == 4, NEW, ADAPT.y)
    np.savez(tmp_path / "learn.npz", x=ADAPT.x, y=y)
    np.savez(tmp_path / "judge.npz", x=JUDGE.x, y=JUDGE.y)
    found = tinytrain.simulate(
        folder,
        data=tmp_path / "learn.npz",
        eval=tmp_path / "judge.npz",
        steps=600,
        save=tmp_path / "session.bin",
    )
    assert found.enrolment is not None and found.accuracy_after is not None
    assert found.enrolment.samples == len(y) and found.steps == 600
    assert any("90 of 450 samples" in sentence for sentence in found.warnings)
    assert json.loads(found.to_json())["enrolment"]["accuracy_before"] < 0.5
    device.load(tmp_path / "session.bin")
    assert accuracy(device, JUDGE) == found.enrolment.accuracy_after
    assert device.enrolled[NEW] > 0


def test_labels_that_cannot_be_enrolled(device: Device) -> None:
    with pytest.raises(DataError, match="label 18 cannot be enrolled: labels are below 18"):
        device.enrol(ADAPT.x[:2], [3, 18])
    with pytest.raises(DataError, match="label -1 of sample 1 is out of range"):
        device.enrol(ADAPT.x[:2], [3, -1])
    with pytest.raises(DataError, match="a label is the class's own number"):
        device.enrol(ADAPT.x[:2], np.eye(10)[[3, 4]])
    with pytest.raises(DataError, match="-1 is not one of the 18 classes"):
        device.forget_class(-1)
    assert not device.enrolled.any()


def test_a_file_with_labels_that_cannot_be_enrolled(folder: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", x=ADAPT.x[:2], y=[3, 18])
    with pytest.raises(DataError, match="label 18 of sample 1 is out of range") as refused:
        tinytrain.simulate(folder, data=tmp_path / "data.npz", steps=1)
    assert (
        refused.value.help == "18 classes can be enrolled: compile with --enrol-classes N for more"
    )


def test_fewer_slots_than_classes(tmp_path: Path) -> None:
    for slots, expected in ((4, 1), (10, 0)):
        product = tinytrain.compile_model(
            MODEL,
            output=tmp_path / "own",
            calibration=TRAINED.x[:16],
            scheme="none",
            enrol=f"knn:{slots}",
        )
        told = [one for one in product.compiled.warnings if "take 10 slots or more" in one]
        assert len(told) == expected
    product = tinytrain.compile_model(
        MODEL,
        output=tmp_path / "own",
        calibration=TRAINED.x[:16],
        scheme="none",
        enrol="ncm",
        enrol_classes=9,
    )
    assert any("leaves out the model's classes from 9 to 9" in w for w in product.compiled.warnings)


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"enrol": "ncm"}, "the scheme 'full' trains layers before the head"),
        ({"enrol": "ncm", "scheme": "last-1"}, "the scheme 'last-1' trains layers before"),
        ({"enrol": "ncm", "scheme": "head", "loss": "huber"}, "a sample of the loss huber has"),
        ({"enrol": "nearest"}, "--enrol nearest is no way"),
        ({"enrol": "ncm:3"}, "--enrol ncm:3 is no way"),
        ({"enrol": "knn"}, "--enrol knn is no way"),
        ({"enrol": "knn:0"}, "SLOTS must be from 1 to 65,535"),
        ({"enrol": "knn:9:16"}, "K must be from 1 to 15"),
        ({"enrol": "knn:2:3"}, "K must be from 1 to 15, and at most SLOTS"),
        ({"enrol_classes": 9}, "--enrol is not given"),
        ({"scheme": "none", "inference": True}, "so that --inference changes nothing"),
        ({"scheme": "none", "enrol": "ncm", "replay": 9}, "and --replay is for what trains"),
        ({"scheme": "none", "enrol": "ncm", "momentum": 0.9}, "and --momentum is for what trains"),
        ({"scheme": "none", "enrol": "ncm", "classes": 3}, "and --classes is for what trains"),
    ],
)
def test_what_is_refused(options: dict[str, object], what: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refused:
        tinytrain.compile_model(
            MODEL, output=tmp_path / "own", calibration=TRAINED.x[:16], **options
        )
    assert what in refused.value.what
    assert not (tmp_path / "own").exists()


def test_a_model_that_enrols_nothing_says_so(tmp_path: Path) -> None:
    tinytrain.compile_model(MODEL, output=tmp_path / "own", calibration=TRAINED.x[:16])
    with tinytrain.load(tmp_path / "own") as device, pytest.raises(UsageError, match="enrols no"):
        device.enrol(TRAINED.x[:1], TRAINED.y[:1])


def test_nothing_is_known_before_the_first_sample(tmp_path: Path) -> None:
    """Calibration samples without labels, too few for a code of their own."""
    tinytrain.compile_model(
        MODEL, output=tmp_path / "own", calibration=TRAINED.x[:16], scheme="head", enrol="ncm"
    )
    record = read_manifest(tmp_path / "own").enrolment
    assert record is not None and (record.codes, record.prototypes, record.near) == (32, 0, None)
    with tinytrain.load(tmp_path / "own") as device:
        with pytest.raises(UsageError, match="no class is known yet"):
            device.classify(TRAINED.x[:1])
        device.enrol(TRAINED.x[:1], [5])
        found = device.classify(TRAINED.x[1])
        assert found.label == 5 and found.margins.tolist() == [1.0]


def enrolled_figures(folder: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Lines of the main table of a session with --confusion and --eval-old."""
    words = ["simulate", folder, "--data", data, "--eval", data, "--eval-old", data]
    assert main([*map(str, words), "--steps", "100", "--confusion"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("F1 before") == shown.count("as 9") == 1
    assert "accuracy of   " not in shown
    return [line.strip("│┃ ").replace("│", " ") for line in shown.splitlines() if "│" in line]


def test_what_was_enrolled_is_taken_for_what(folder: Path, tmp_path: Path) -> None:
    """Of all classes that can be enrolled; where nothing is known a sample is taken for none."""
    labels = np.where(ADAPT.y == 3, NEW, ADAPT.y)[:200]
    np.savez(tmp_path / "data.npz", x=ADAPT.x[:200], y=labels)
    data = tmp_path / "data.npz"
    found = tinytrain.simulate(folder, data=data, eval=data, eval_old=data, steps=9, confusion=True)
    enrolment = found.enrolment
    assert enrolment is not None and enrolment.confusion is not None and enrolment.old is not None
    right = np.trace(np.array(enrolment.confusion.after))
    assert (
        right == round(200 * enrolment.accuracy_after) == round(200 * enrolment.old.accuracy_after)
    )
    assert enrolment.old.accuracy_before == enrolment.accuracy_before
    assert found.confusion is not None and len(found.confusion.after) == 10


def test_new_classes_alone_can_be_enrolled_where_nothing_trains(tmp_path: Path) -> None:
    tinytrain.compile_model(
        MODEL, output=tmp_path / "own", calibration=TRAINED.x[:70], scheme="none", enrol="knn:20"
    )
    np.savez(tmp_path / "data.npz", x=ADAPT.x[:20], y=10 + ADAPT.y[:20] % 2)
    data = tmp_path / "data.npz"
    stages: set[str] = set()
    session = {"data": data, "eval": data, "steps": 20}
    for order in ("shuffled", "by-class"):
        found = tinytrain.simulate(
            tmp_path / "own",
            order=order,
            progress=lambda stage, *_: stages.add(stage),
            **session,  # type: ignore[arg-type]
        )
        assert found.accuracy_after is None and found.enrolment is not None
        assert (found.enrolment.accuracy_before, found.enrolment.accuracy_after) == (0, 1)
    assert stages >= {"classify before", "enrol", "classify after"} and "train" not in stages


def test_the_scheme_none_trains_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No head in RAM, no gradients; enrolled samples are all that a saved file holds."""
    for scheme in ("head", "none"):
        tinytrain.compile_model(
            MODEL,
            output=tmp_path / scheme,
            calibration=[{"x": TRAINED.x[:100], "y": TRAINED.y[:100]}],
            scheme=scheme,
            enrol="ncm",
        )
    head, none = (read_manifest(tmp_path / scheme) for scheme in ("head", "none"))
    assert none.parameters == () and none.health is None and none.learning_rate == 0
    assert none.enrolment is not None and none.saved_bytes == 64 + none.enrolment.ram
    assert none.ram["total"] < head.ram["total"] and none.flash["code"] < head.flash["code"]
    assert "train" not in (tmp_path / "none" / "src" / "digits.h").read_text().split("state;")[1]
    np.savez(tmp_path / "data.npz", x=ADAPT.x, y=ADAPT.y)
    data = tmp_path / "data.npz"
    found = tinytrain.simulate(tmp_path / "none", data=data, eval=data, steps=100)
    assert found.enrolment is not None and (found.steps, found.enrolment.samples) == (0, 100)
    assert found.accuracy_before == found.accuracy_after
    assert found.enrolment.accuracy_after > found.enrolment.accuracy_before + 0.1
    told = enrolled_figures(tmp_path / "none", data, capsys)
    assert told[0].split() == ["enrolled", "nearest", "class", "mean"]
    assert told[2].split() == ["accuracy", "before", f"{found.enrolment.accuracy_before:.1%}"]
    assert f"accuracy of the head {found.accuracy_after:.1%}" in [" ".join(t.split()) for t in told]
    with tinytrain.load(tmp_path / "none") as device:
        device.enrol(ADAPT.x[:100], ADAPT.y[:100])
        with pytest.raises(UsageError, match="the scheme none trains nothing"):
            device.train_step(ADAPT.x[:1], ADAPT.y[:1])
        with pytest.raises(UsageError, match="the scheme none trains nothing"):
            device.learning_rate = 0.1
        device.evaluate(data)
    with pytest.raises(UsageError, match="the scheme none trains nothing"):
        tinytrain.simulate(tmp_path / "none", data=data, steps=9, learning_rate=0.1)


def test_methods() -> None:
    assert (parse_method("ncm").name, parse_method("knn:3").neighbours) == ("ncm", 1)


def test_ram_that_does_not_suffice_names_what_fits(tmp_path: Path) -> None:
    wanted = {"ncm": "--enrol-classes", "knn:60000": "--enrol knn:"}
    for method, way_out in wanted.items():
        with pytest.raises(tinytrain.BudgetError) as refused:
            tinytrain.compile_model(
                MODEL,
                output=tmp_path / "own",
                target="mps2-an500",
                ram=60_000,
                calibration=TRAINED.x[:16],
                scheme="head",
                enrol=method,
                enrol_classes=60_000 if method == "ncm" else 20,
            )
        assert way_out in str(refused.value.help)
