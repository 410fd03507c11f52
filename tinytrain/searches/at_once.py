"""What `compile --scheme auto` would choose: one more scheme for a search to try."""

from __future__ import annotations

import tomllib
from dataclasses import replace

from tinytrain.compiler.auto_scheme import AutoScheme
from tinytrain.compiler.budget import Budget
from tinytrain.compiler.costs import Costs
from tinytrain.scheme.scheme import AUTO, Scheme, scheme_of
from tinytrain.scheme.text import scheme_text
from tinytrain.searches.asking import Subject
from tinytrain.searches.finals import STACK
from tinytrain.searches.sets import Sets
from tinytrain.searches.store import Store, key_of
from tinytrain.searches.worth import known_worth

KIND = "auto"


def chosen_at_once(
    subject: Subject, costs: Costs, sets: Sets, store: Store, limits: Budget
) -> Scheme:
    """The scheme, from the store or chosen by samples to learn from.

    Args:
        limits: that the head alone keeps.
    """
    name = f"{AUTO}-{limits.ram}"
    key = key_of(limits.ram, limits.instructions)
    known = store.read(KIND, key)
    if known is None:
        worth = known_worth(subject, store, learned=True)
        auto = AutoScheme(worth, costs, sets.lines, subject.options)
        known = {"scheme": scheme_text(auto.within(limits, STACK).scheme)}
        store.keep(KIND, key, name, known)
    found = scheme_of(tomllib.loads(known["scheme"]), name, subject.layers)
    return replace(found, name=name)
