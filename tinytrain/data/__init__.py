"""Data files: samples and targets in, the model's own integers out."""

from tinytrain.data.calibration import load_calibration
from tinytrain.data.dataset import Dataset, load_dataset
from tinytrain.data.preprocess import Preprocess
from tinytrain.data.spec import SampleSpec, quantize_input

__all__ = [
    "Dataset",
    "Preprocess",
    "SampleSpec",
    "load_calibration",
    "load_dataset",
    "quantize_input",
]
