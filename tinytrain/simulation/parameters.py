"""What `simulate` takes: one row a parameter."""

from __future__ import annotations

from tinytrain.option import FILE, FOLDER, INTEGER, NUMBER, SIZE, SWITCH, Group, Option
from tinytrain.simulation.frozen_cache import FROZEN_MEMORY
from tinytrain.simulation.orders import ORDERS

MAX_STEPS = 10_000_000
"""Every step's sample is written out beforehand; more would fill a disk."""

LARGEST_RATE = 1024.0
"""Of a step, where the limit of the model is lifted."""

ENGINES = ("host", "qemu")
BOARD = "serial"
"""Of `serial:PORT`, the board at a serial port."""

WHERE = Group("where it runs", "")
TRAINING = Group("training", "which samples, how often, in which order")
EVALUATION = Group("evaluation", "on samples that it does not learn from")
FILES = Group("files", "what is read and written besides")

_DIRECTORY = Option("folder that `compile` wrote", WHERE, "directory", FOLDER, metavar="DIR",
                    positional=True, required=True)  # fmt: skip
_ON = Option("this machine, or the emulator of the folder's target", WHERE, "on",
             default=ENGINES[0], choices=ENGINES)  # fmt: skip
_ON_BOARD = Option("this machine, the emulator of the folder's target, or a board at a serial port",
                   WHERE, "on", default=ENGINES[0], choices=ENGINES, prefix=BOARD,
                   metavar="{host,qemu,serial:PORT}", see="link.md")  # fmt: skip
_ICOUNT = Option("count instructions (needs --on qemu, and is slower)", WHERE, "icount", SWITCH,
                 False)  # fmt: skip
_LOAD = Option("file of saved parameters to start from", FILES, "load", FILE, metavar="FILE")

SIMULATE = (
    _DIRECTORY,
    _ON_BOARD,
    _ICOUNT,
    Option("bytes on this machine for the outputs of the frozen layers; 0 computes them every time",
           WHERE, "frozen_memory", SIZE, FROZEN_MEMORY, low=0, metavar="SIZE",
           comparison=True),
    Option("samples to learn from, x and y of an .npz file", TRAINING, "data", FILE,
           metavar="F.npz", required=True),
    Option("training steps on new samples; each epoch takes them in a new random order", TRAINING,
           "steps", INTEGER, low=0, high=MAX_STEPS, metavar="N", required=True),
    Option("initial learning rate, instead of the compiled one", TRAINING, "learning_rate", NUMBER,
           low=0.0, high=LARGEST_RATE, metavar="R"),
    Option("seed of the order of the samples", TRAINING, "seed", INTEGER, 0, low=0, high=2**32 - 1,
           metavar="N"),
    Option("order of the samples: as-is takes them as the file has them, by-class sorts them, "
           "drift changes them slowly", TRAINING, "order", default=ORDERS[0], choices=ORDERS,
           see="training.md#replay"),
    Option("steps on remembered samples after each new one; 1 if the model has a replay buffer",
           TRAINING, "replay_steps", INTEGER, low=0, high=1000, metavar="R",
           see="training.md#replay"),
    Option("steps on the rehearsal set after each new sample; 1 if the model has one", TRAINING,
           "rehearsal_steps", INTEGER, low=0, high=1000, metavar="R",
           see="training.md#rehearsal"),
    Option("samples of before that the replay buffer is offered first, x and y of an .npz file",
           TRAINING, "fill", FILE, metavar="F.npz", see="training.md#replay"),
    Option("follow drift over the samples, as many as --steps, in place of training on them; needs "
           "no labels", TRAINING, "follow", SWITCH, False, see="training.md#drift"),
    Option("take the samples as ones without labels, and train on those that are sure enough; "
           "labels in the file only say how many were right", TRAINING, "unlabelled", SWITCH,
           False, see="training.md#pseudo-labels"),
    Option("labelled samples that the guard looks at and no step learns from, x and y of an .npz "
           "file", TRAINING, "kept", FILE, metavar="F.npz", see="training.md#the-guard"),
    Option("samples to evaluate on, before and after", EVALUATION, "eval", FILE, metavar="G.npz"),
    Option("samples of what the model knew before, to see what it forgets", EVALUATION, "eval_old",
           FILE, metavar="OLD.npz"),
    Option("show what was taken for what, and precision, recall and F1 of each class", EVALUATION,
           "confusion", SWITCH, False),
    Option("evaluate after every N steps, too; 0 never does", EVALUATION, "evaluate_every", INTEGER,
           0, low=0, high=MAX_STEPS, metavar="N"),
    Option("stop where P such evaluations in a row were no better than the best before; 0 never "
           "does", EVALUATION, "patience", INTEGER, 0, low=0, high=65_535, metavar="P"),
    _LOAD,
    Option("file that gets the trained parameters", FILES, "save", FILE, metavar="FILE"),
    Option("file that gets the loss of every step, one a line", FILES, "losses", FILE,
           metavar="FILE"),
)  # fmt: skip

WATCH = (
    _DIRECTORY,
    _ON,
    _ICOUNT,
    Option("samples to watch in their order, x of an .npz file; the first are taken as normal",
           TRAINING, "data", FILE, metavar="F.npz", required=True),
    Option("samples to watch; the file begins anew where it has fewer, and by default each comes "
           "once", TRAINING, "steps", INTEGER, low=0, high=MAX_STEPS, metavar="N"),
    Option("samples to score before and after; y or fault is 1 for each that is not normal",
           EVALUATION, "eval", FILE, metavar="G.npz"),
    _LOAD,
    Option("file that gets what was learned", FILES, "save", FILE, metavar="FILE"),
    Option("file that gets the score of every sample watched, one a line", FILES, "scores", FILE,
           metavar="FILE"),
)  # fmt: skip
"""What `watch` takes."""

MIGRATE = (
    Option("folder that `compile` wrote, of the model that is to load the file", FILES, "directory",
           FOLDER, metavar="DIR", positional=True, required=True),
    Option("saved file to take from, of this or an older format", FILES, "load", FILE,
           metavar="FILE", required=True),
    Option("folder of the model that saved it, where that is another one: the same model file with "
           "another scheme", FILES, "old", FOLDER, metavar="OLD_DIR"),
    Option("file to write", FILES, "save", FILE, metavar="FILE", required=True),
)  # fmt: skip
"""What `migrate` takes."""
