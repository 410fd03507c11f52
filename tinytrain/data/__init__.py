"""Data files: samples and targets in, the model's own integers out."""

from tinytrain.data.calibration import load_calibration
from tinytrain.data.coverage import Coverage, coverage
from tinytrain.data.dataset import Dataset, load_dataset
from tinytrain.data.preprocess import Preprocess
from tinytrain.data.spec import SampleSpec, quantize_input

__all__ = [
    "Coverage",
    "Dataset",
    "Preprocess",
    "SampleSpec",
    "coverage",
    "load_calibration",
    "load_dataset",
    "quantize_input",
]
