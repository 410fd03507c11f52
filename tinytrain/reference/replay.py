"""Which sample of a stream a replay buffer keeps: docs/arithmetic.md section 8."""

from __future__ import annotations

import numpy as np

from tinytrain.reference.update import mix
from tinytrain.saved_file import layout

MAX_SLOTS = 2**16 - 1
"""Slots and classes are counted in 16 bits."""

_WORD = 2**32
_SALT = 0x7265706C


class ReplayBuffer:
    """Class-balanced reservoir sampling (Chrysakis and Moens, ICML 2020), to the bit as the device.

    Args:
        slots: 1 to `MAX_SLOTS`.
        classes: 1 for a regression, where the rule is Vitter's reservoir.
        seed: of the model, 32 bits.
    """

    def __init__(self, slots: int, classes: int, seed: int) -> None:
        self.slots = slots
        self.labels: list[int] = []
        self._seed = seed
        self._draws = 0
        self._seen = [0] * classes
        self._held = [0] * classes
        self._is_full = [False] * classes

    def offer(self, label: int) -> int | None:
        """Decide on the next sample: the slot that it goes into, or None if it is not kept."""
        slot = self._choose(label)
        self._seen[label] = min(self._seen[label] + 1, _WORD - 1)
        if slot == len(self.labels):
            self.labels.append(label)
            self._held[label] += 1
        elif slot is not None:
            self._held[self.labels[slot]] -= 1
            self.labels[slot] = label
            self._held[label] += 1
        if len(self.labels) == self.slots:
            largest = max(self._held)
            self._is_full = [
                full or held == largest
                for full, held in zip(self._is_full, self._held, strict=True)
            ]
        return slot

    def forget(self, label: int) -> list[tuple[int, int]]:
        """Free the slots of a class, in turn.

        Returns:
            for each of them its number and that of the last slot in use, whose sample takes its
            place.
        """
        moves, slot = [], 0
        while slot < len(self.labels):
            if self.labels[slot] != label:
                slot += 1
                continue
            moves.append((slot, len(self.labels) - 1))
            self.labels[slot] = self.labels[-1]
            self.labels.pop()
        self._seen[label], self._held[label], self._is_full[label] = 0, 0, False
        return moves

    def draw_slot(self) -> int | None:
        """One of the slots in use, each as likely as the others; None if there is none."""
        return self._draw(len(self.labels)) if self.labels else None

    def state_bytes(self) -> bytes:
        """As a saved file has it: generator, classes, labels; the slots' samples come behind."""
        of_class = layout("tt_replay_class", "tt_replay.h")
        head = layout("tt_replay", "tt_replay.h").pack(draws=self._draws, filled=len(self.labels))
        classes = b"".join(
            of_class.pack(seen=seen, held=held, is_full=is_full)
            for seen, held, is_full in zip(self._seen, self._held, self._is_full, strict=True)
        )
        labels = np.zeros(self.slots, "<u2")
        labels[: len(self.labels)] = self.labels
        return b"".join([head, classes, labels.tobytes()])

    def _choose(self, label: int) -> int | None:
        if len(self.labels) < self.slots:
            return len(self.labels)
        largest = max(self._held)
        if self._is_full[label] or self._held[label] == largest:
            number = self._draw(min(self._seen[label] + 1, _WORD - 1))
            return self._slot_of(label, number) if number < self._held[label] else None
        return self._slot_of(self._held.index(largest), self._draw(largest))

    def _slot_of(self, label: int, number: int) -> int:
        return [slot for slot, found in enumerate(self.labels) if found == label][number]

    def _draw(self, count: int) -> int:
        self._draws = (self._draws + 1) % _WORD
        random = mix((mix(self._seed ^ _SALT) + self._draws * 0x9E3779B9) % _WORD)
        return random * count >> 32
