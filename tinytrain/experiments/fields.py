"""The fields of an experiment's file that are no options of `compile`: one row a field."""

from __future__ import annotations

from tinytrain.compiler.options import OPTIONS
from tinytrain.option import INTEGER, NUMBER, SWITCH, Group, Option, by_name
from tinytrain.simulation.parameters import SIMULATE

ENGINES = ("c", "float-masters", "float")
"""What a rule may run on: the C that ships, or what it is compared with, in PyTorch."""

HEADS = ("fresh", "keep")
ORDERS = ("shuffled", "by-class")

_SESSION = by_name(SIMULATE)
_SAMPLES = 2**31 - 1

TOP = Group("the file", "")
MODEL = Group("[models.NAME]", "")
DATA = Group("[data.NAME]", "")
SCHEMES = Group("[schemes]", "")
RULE = Group("[rules.NAME]", "")

_RATES = Option(
    "learning rates; of several, a rule takes the one with the best accuracy on the first seed, "
    "and the other seeds run with that alone",
    TOP, "rates", NUMBER, (), low=0.0, high=_SESSION["learning_rate"].high, several=True,
)  # fmt: skip

_ROWS = (
    Option("title in the tables, instead of the file's name", TOP, "name"),
    Option("length of a run, one sample a step", TOP, "steps", INTEGER,
           low=1, high=_SESSION["steps"].high),
    Option("the same in passes over the samples", TOP, "epochs", INTEGER,
           low=1, high=_SESSION["steps"].high),
    Option("evaluations over all test samples, spread over a run; one more before its first step",
           TOP, "evaluations", INTEGER, 10, low=1, high=100_000),
    Option("seeds of the samples' order, of a fresh head and of random rounding", TOP, "seeds",
           INTEGER, (0,), low=0, high=2**32 - 1, several=True),
    _RATES,
    Option("of the learning rate, for rules that have none; `cosine` alone ends with the run", TOP,
           "schedule", default=OPTIONS["schedule"].default),
    Option("order of the samples: shuffled anew in each epoch, or sorted by class", TOP, "order",
           default=ORDERS[0], choices=ORDERS),
    Option("number of samples to learn from, evenly spread over the data; all by default", TOP,
           "train_limit", INTEGER, low=1, high=_SAMPLES),
    Option("number of samples to test with", TOP, "test_limit", INTEGER, low=1,
           high=_SAMPLES),
    Option("target whose RAM and instructions are reported", TOP, "target", default="mps2-an500"),
    Option("whether the target's emulator counts the instructions of a step", TOP, "instructions",
           SWITCH, False),
    Option("the model's file", MODEL, "path", required=True),
    Option("a new classifier of the data's classes, or the model's own", MODEL, "head",
           default=HEADS[0], choices=HEADS),
    Option("of uint8 images, which are resized to the model's input; by default what a quantized "
           "input's scale and zero point say, else 0", MODEL, "mean", NUMBER, several=True),
    Option("of uint8 images; likewise, else 1", MODEL, "std", NUMBER, several=True),
    Option("an .npz with x_train, y_train, x_test, y_test, or a folder or .zip with "
           "train/CLASS/IMAGE and val/CLASS/IMAGE", DATA, "path"),
    Option("instead of `path`: an .npz of x and y to learn from", DATA, "train"),
    Option("an .npz of x and y to test with", DATA, "test"),
    Option("an .npz of x and y, samples of before for rules with `rehearsal_slots` or `enrol`",
           DATA, "rehearse"),
    Option("an .npz of x and y of what the model knew before, which is evaluated, too", DATA,
           "eval_old"),
    Option("number of samples of each class to learn from, evenly spread; all by default", DATA,
           "of_each_class", INTEGER, low=1, high=_SAMPLES),
    Option("the C that ships, or an engine in PyTorch", RULE, "engine", default=ENGINES[0],
           choices=ENGINES),
    Option("learning rates of this rule", RULE, "rates", NUMBER, (), low=0.0, high=_RATES.high,
           several=True),
    Option("steps on remembered samples after each new one; 1 if the rule has a replay buffer",
           RULE, "replay_steps", INTEGER, low=1, high=_SESSION["replay_steps"].high),
    Option("steps on the rehearsal set after each new sample; 1 if the rule has one", RULE,
           "rehearsal_steps", INTEGER, low=1, high=_SESSION["rehearsal_steps"].high),
)  # fmt: skip

FIELDS = {group: by_name(row for row in _ROWS if row.group is group) for group in
          (TOP, MODEL, DATA, SCHEMES, RULE)}  # fmt: skip
"""Rows by their names, for each kind of table."""
