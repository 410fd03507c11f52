"""Calibration samples in every form that people have them in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tinytrain.data import Preprocess, SampleSpec, load_calibration
from tinytrain.data.calibration import gather
from tinytrain.errors import DataError, TinytrainError, UsageError

SPEC = SampleSpec((1, 4, 4, 2), (1, 2, 4, 4), "NCHW", 3, 0)
X = np.random.default_rng(0).normal(size=(10, 2, 4, 4)).astype(np.float32)
Y = np.arange(10) % 3
TENSORS = torch.utils.data.TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))

FORMS: dict[str, Any] = {
    "a DataLoader": torch.utils.data.DataLoader(TENSORS, batch_size=3),
    "a dataset": TENSORS,
    "a pair": (X.astype(np.float64), torch.from_numpy(Y)),
    "a dictionary": {"x": X, "y": Y[:, None]},
    "single samples": [(x, int(y)) for x, y in zip(X, Y, strict=True)],
    "batches as dictionaries": [{"x": X[:6], "y": Y[:6]}, {"x": X[6:], "y": Y[6:]}],
}
WITHOUT_LABELS: dict[str, Any] = {
    "an array": X,
    "a tensor": torch.tensor(X, requires_grad=True),
    "a list of samples": list(X),
    "batches of one tensor": [[torch.from_numpy(X[:5])], [torch.from_numpy(X[5:])]],
    "labels that do not fit": (X, np.ones((10, 3))),
}


@pytest.mark.parametrize("form", [*FORMS, *WITHOUT_LABELS])
def test_every_form_gives_the_same_samples(form: str) -> None:
    source = {**FORMS, **WITHOUT_LABELS}[form]
    samples, labels, _ = load_calibration(gather(source, SPEC, 256), SPEC, 256)
    assert np.array_equal(samples, X.transpose(0, 2, 3, 1))
    assert (labels is None) == (form in WITHOUT_LABELS)
    assert labels is None or np.array_equal(labels, Y)


@pytest.mark.parametrize(
    ("y", "what", "help"),
    [
        (np.array(list("abcabcabca")), "labels are integers", "np.unique(y, return_inverse=True)"),
        (Y.astype(np.float32), "labels are integers", "y.astype(np.int32)"),
        (Y + 0.5, "labels are integers", "--loss mean_squared_error"),
        (np.eye(3)[Y], "labels have shape [10]", "y.argmax(1)"),
        (Y[:-1], "x holds 10 samples but y has shape [9]", "a target for each sample"),
        (Y + 1, "label 3 of sample 2 is out of range", "--classes N"),
    ],
)
def test_labels_that_are_left_out_say_why(
    y: np.ndarray, what: str, help: str, tmp_path: Path
) -> None:
    np.savez(tmp_path / "data.npz", x=X, y=y)
    samples, labels, unused = load_calibration(tmp_path / "data.npz", SPEC, 256)
    assert len(samples) == 10 and labels is None
    assert unused is not None and what in unused and help in unused


def test_the_first_samples_of_an_iterable_are_taken_and_no_more() -> None:
    taken = []

    def endless() -> Any:
        while True:
            taken.append(len(taken))
            yield X[:4]

    samples = load_calibration(gather(endless(), SPEC, 10), SPEC, 10).samples
    assert len(samples) == 10 and len(taken) == 3


def test_targets_of_a_loader_keep_their_shape() -> None:
    x, y = X[:6], np.arange(12, dtype=np.float32).reshape(6, 2)
    batches = [(x[:4], y[:4]), (x[4:], y[4:])]
    singles = list(zip(x, y, strict=True))
    for source in (batches, singles):
        found = gather(source, SPEC, 5)
        assert isinstance(found, dict) and np.array_equal(found["y"], y[:5])
    assert "y" not in gather([x[:4], x[4:]], SPEC, 5)


def test_a_vector_may_be_a_list_of_numbers() -> None:
    spec = SampleSpec((1, 1, 1, 2), (1, 2), "NC", 1, 0)
    samples, labels, _ = load_calibration(gather([[1.0, 2.0], [3.0, 4.0]], spec, 9), spec, 9)
    assert samples.reshape(2, 2).tolist() == [[1.0, 2.0], [3.0, 4.0]] and labels is None


def test_images_of_a_loader_may_have_any_size() -> None:
    spec = SampleSpec((1, 4, 4, 3), (1, 3, 4, 4), "NCHW", 3, 0, preprocess=Preprocess((4, 4)))
    rng = np.random.default_rng(1)
    images = [rng.integers(0, 256, (n, n, 3), dtype=np.uint8) for n in (4, 9, 16)]
    samples, labels, _ = load_calibration(
        gather(zip(images, range(3), strict=True), spec, 9), spec, 9
    )
    assert samples.shape == (3, 4, 4, 3) and labels is not None
    assert np.array_equal(samples[0], images[0].astype(np.float32) / np.float32(255))


REFUSED: dict[str, tuple[Callable[[], Any], type[TinytrainError], str]] = {
    "nothing": (lambda: [], DataError, "there are no calibration samples"),
    "another shape": (lambda: [X[:, :1]], DataError, r"\[10, 1, 4, 4\], but the model takes"),
    "a number": (lambda: 7, UsageError, "a 'int' gives no samples"),
    "texts": (lambda: ["cat"], DataError, "'str' holds no numbers"),
    "no x": (lambda: {"images": X}, DataError, "no 'x' among images"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_refused(name: str, tmp_path: Path) -> None:
    source, kind, message = REFUSED[name]
    with pytest.raises(kind, match=message):
        load_calibration(gather(source(), SPEC, 9), SPEC, 9)
