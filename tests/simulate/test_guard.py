"""A guard on a real model: poison is undone, honest learning goes on, and the session says why."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import tinytrain
from examples.digits.data import as_it_is_now, as_trained
from examples.digits.story import MODEL
from tinytrain.cli import main
from tinytrain.errors import UsageError

needs_emulator = pytest.mark.skipif(
    not (shutil.which("qemu-system-arm") and shutil.which("arm-none-eabi-gcc")),
    reason="needs qemu-system-arm and arm-none-eabi-gcc",
)

LEARN, KEPT, JUDGE = (as_it_is_now(slice(*ends)) for ends in ((0, 900), (900, 980), (1000, 1400)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("guard") / "own"
    calibration = as_trained(slice(0, 128)).x
    tinytrain.compile_model(MODEL, output=place, calibration=calibration, scheme="last-3", guard=64)
    return place


def test_poison_is_undone(folder: Path) -> None:
    with tinytrain.load(folder) as device:
        device.keep_apart(KEPT.x, KEPT.y)
        before = device.evaluate(JUDGE.x, JUDGE.y).accuracy
        device.train(LEARN.x, LEARN.y)
        device.finish()
        good = device.evaluate(JUDGE.x, JUDGE.y).accuracy
        assert before is not None and good is not None and good > before + 0.2
        device.train(LEARN.x[:300], np.full(300, 3))
        device.finish()
        after = device.evaluate(JUDGE.x, JUDGE.y).accuracy
        checks = device.guard_checks()
        assert after is not None and after > good - 0.02
        assert {check.reason for check in checks if check.action == "restored"} <= {
            "kept",
            "class",
            "stream",
        }
        assert checks[0].action == "saved" and checks[-1].factor < 0.5


def test_a_single_label_saves_no_state_that_is_no_better(folder: Path) -> None:
    with tinytrain.load(folder) as device:
        device.keep_apart(as_trained(slice(900, 980)).x, as_trained(slice(900, 980)).y)
        alone = as_trained(slice(0, 300))
        only = alone.x[alone.y == 3]
        device.train(np.concatenate([only] * 12)[:320], np.full(320, 3))
        device.finish()
        checks = device.guard_checks()
        best = checks[0].kept
        saved = [check.kept for check in checks if check.action == "saved"]
        assert saved == sorted(saved, reverse=True) and max(saved) == best
        assert len(saved) < len(checks)


def test_a_session_says_what_the_guard_did(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    poisoned, kept = tmp_path / "poisoned.npz", tmp_path / "kept.npz"
    np.savez(poisoned, x=LEARN.x[:200], y=np.full(200, 3))
    np.savez(kept, x=KEPT.x, y=KEPT.y)
    words = ["simulate", folder, "--data", poisoned, "--steps", 200, "--kept", kept]
    assert main([*map(str, words), "--json"]) == 0
    guard = json.loads(capsys.readouterr().out)["guard"]
    assert guard["restores"] == sum(guard["reasons"].values()) > 0
    assert guard["undone"][0]["step"] == 64 and guard["factor"] < 1
    assert main([*map(str, words)]) == 0
    shown = capsys.readouterr().out
    assert f"guard: {guard['checks']} checks, of which {guard['saves']} saved the state" in shown
    assert "guard: after step 64 the saved state came back: " in shown
    assert f"guard: the learning rate is {guard['factor']:g} of what was set" in shown


def test_a_world_of_which_nothing_is_kept_apart(tmp_path: Path) -> None:
    """All samples that the guard looks at are old, and the new ones are another world."""
    old, new = tmp_path / "old.npz", tmp_path / "new.npz"
    np.savez(old, x=as_trained(slice(0, 300)).x, y=as_trained(slice(0, 300)).y)
    np.savez(new, x=LEARN.x[:400], y=LEARN.y[:400])
    options = {"output": tmp_path / "own", "scheme": "last-3", "guard": 64, "rehearse": old}
    told = {}
    for name in ("old", "new"):
        product = tinytrain.compile_model(
            MODEL,
            calibration=tmp_path / f"{name}.npz",
            **options,  # type: ignore[arg-type]
        )
        told[name] = [said for said in product.manifest.warnings if said.startswith("the guard")]
    assert told["old"] == []
    (warning,) = told["new"]
    assert "the rehearsal set, of which the model predicts 100% right" in warning

    found = tinytrain.simulate(tmp_path / "own", data=new, steps=400).guard
    assert found is not None and found.conflict is not None
    assert found.conflict.stream > 2 * found.conflict.best
    assert any("they are of another world" in said for said in found.sentences())
    # Where both worlds are kept apart nothing is in conflict.
    kept = tmp_path / "kept.npz"
    both = [as_trained(slice(300, 350)), KEPT]
    np.savez(
        kept,
        x=np.concatenate([one.x for one in both]),
        y=np.concatenate([one.y for one in both]),
    )
    found = tinytrain.simulate(tmp_path / "own", data=new, steps=400, kept=kept).guard
    assert found is not None and found.conflict is None


@needs_emulator
def test_the_instructions_of_a_check_are_counted(tmp_path: Path) -> None:
    """A forward pass for each sample kept apart, and little else."""
    calibration = as_trained(slice(0, 32)).x
    tinytrain.compile_model(
        MODEL,
        output=tmp_path / "own",
        calibration=calibration,
        scheme="head",
        guard=4,
        target="mps2-an500",
    )
    np.savez(tmp_path / "data.npz", x=LEARN.x[:5], y=LEARN.y[:5])
    np.savez(tmp_path / "kept.npz", x=KEPT.x[:20], y=KEPT.y[:20])
    files = {"data": tmp_path / "data.npz", "eval": tmp_path / "data.npz"}
    for icount in (True, False):
        found = tinytrain.simulate(
            tmp_path / "own",
            on="qemu",
            steps=5,
            kept=tmp_path / "kept.npz",
            icount=icount,
            **files,  # type: ignore[arg-type]
        )
        assert found.guard is not None
        count = found.guard.instructions_per_check
        assert (count is not None) == icount
        if icount:
            assert found.instructions_per_inference is not None and count is not None
            assert 20 < count / found.instructions_per_inference < 22
            assert list(found.guard.sentences())[-1] == f"a check takes {count:,} instructions"


def test_few_samples_kept_apart(folder: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "kept.npz", x=KEPT.x[:1], y=KEPT.y[:1])
    np.savez(tmp_path / "data.npz", x=LEARN.x[:9], y=LEARN.y[:9])
    told: list[str] = []
    session = {"data": tmp_path / "data.npz", "steps": 1, "kept": tmp_path / "kept.npz"}
    tinytrain.simulate(folder, **session, warn=told.append)  # type: ignore[arg-type]
    assert sum(said.startswith("the guard looks at 1 sample kept apart") for said in told) == 1
    with tinytrain.load(folder) as device, pytest.warns(match="too few to tell harm from chance"):
        device.keep_apart(KEPT.x[:1], KEPT.y[:1])


def test_what_needs_a_guard(tmp_path: Path, folder: Path) -> None:
    place = tmp_path / "own"
    calibration = as_trained(slice(0, 32)).x
    tinytrain.compile_model(MODEL, output=place, calibration=calibration, scheme="head")
    data = tmp_path / "data.npz"
    np.savez(data, x=KEPT.x, y=KEPT.y)
    with pytest.raises(UsageError, match=r"own' has no guard") as caught:
        tinytrain.simulate(place, data=data, steps=1, kept=data)
    assert caught.value.help == "compile with --guard 128, or leave out --kept"
    with tinytrain.load(place) as device:
        for call in (lambda: device.keep_apart(KEPT.x, KEPT.y), device.finish, device.guard_checks):
            with pytest.raises(UsageError, match="the model has no guard"):
                call()
    with pytest.raises(UsageError, match="what was enrolled then and erased since"):
        tinytrain.compile_model(
            MODEL, output=place, calibration=calibration, scheme="head", guard=9, enrol="ncm"
        )


def test_two_worlds_of_a_single_logit(tmp_path: Path) -> None:
    """Its sign is the class that the model predicts, in either world."""
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 1), torch.nn.Sigmoid())
    with torch.no_grad():
        model[1].weight.copy_(torch.tensor([[4.0, 0.0, 0.0, 0.0]]))
        model[1].bias.zero_()
    x = np.random.default_rng(0).uniform(0.2, 1.0, (40, 4)).astype(np.float32)
    x[::2, 0] *= -1
    known = (x[:, 0] > 0).astype(np.int64)
    told = []
    for y in (known, 1 - known):
        product = tinytrain.compile_model(
            model.eval(),
            torch.zeros(1, 4),
            output=tmp_path / "own",
            calibration=(x, y),
            rehearse=(x, known),
            scheme="head",
            guard=16,
        )
        told += [said for said in product.manifest.warnings if said.startswith("the guard looks")]
    (warning,) = told
    assert "predicts 100% right, and of the calibration samples 0%" in warning
