"""The update scheme of a compilation, where labelled samples have a say in it."""

from __future__ import annotations

from tinytrain.choosing.channel_scores import with_channels
from tinytrain.compiler.integers import IntegerModel
from tinytrain.compiler.options import Options
from tinytrain.compiler.worth import labelled_samples, worth_of
from tinytrain.data import Preprocess
from tinytrain.passes.select_trainable import weighted_layers
from tinytrain.scheme.channels import is_measured, unmeasured_words
from tinytrain.scheme.scheme import Scheme, load_scheme


def chosen_scheme(given: IntegerModel, options: Options, preprocess: Preprocess | None) -> Scheme:
    """The scheme that the options name, its channels listed where samples choose them.

    Args:
        given: the model, with its calibration samples.

    Raises:
        SchemeError: the scheme does not fit the model.
        UsageError, DataError: it chooses channels by labelled samples, and there are none.
    """
    scheme = load_scheme(options.scheme, weighted_layers(given.forward))
    if not is_measured(scheme):
        return scheme
    samples = labelled_samples(
        given,
        options,
        preprocess,
        f'channels = "{scheme.choice}" of the scheme',
        f"choose channels by {unmeasured_words()}",
    )
    return with_channels(scheme, worth_of(given.forward, options, samples))
