"""A table of a TOML file, read field by field; whatever does not fit is an error that names it."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

from tinytrain.errors import UsageError, Where
from tinytrain.experiments.fields import FIELDS
from tinytrain.naming import in_a_file
from tinytrain.option import NUMBER, Group


class Table:
    """Fields of one table; each is taken once, and `end` refuses what is left.

    Args:
        content: as `tomllib` gives it.
        where: the file.
        place: where it stands, with dots between the names; "" for the file itself.
        group: which kind of table it is, one of `fields.FIELDS`.
        name: its own name, the last part of its place.
    """

    def __init__(
        self, content: Mapping[str, Any], where: Where, place: str, group: Group, name: str = ""
    ) -> None:
        self._content = dict(content)
        self._group = group
        self._where = where
        self._place = place
        self.name = name

    def __contains__(self, key: str) -> bool:
        return key in self._content

    def items(self) -> ItemsView[str, Any]:
        """All fields that were not taken, in the file's order."""
        return self._content.items()

    def fail(self, key: str, what: str, help: str | None = None) -> NoReturn:
        """An error about a field, or about the whole table where `key` is "".

        Options that are named by their flags become fields.
        """
        what, help = in_a_file(what), help and in_a_file(help)
        place = ".".join(part for part in (self._place, key) if part)
        raise UsageError(
            f"{what} (field `{place}`)" if place else what, where=self._where, help=help
        )

    def table(self, key: str, group: Group) -> Table:
        """A table that must be there and hold something; `group` says of which kind it is."""
        found = self._content.pop(key, None)
        if not isinstance(found, dict) or not found:
            self.fail(key, f"the experiment needs a table `[{key}]`")
        return Table(found, self._where, f"{self._place}.{key}".lstrip("."), group, key)

    def inner(self, key: str) -> Table:
        """A table in this one, of the same kind."""
        found = self._content[key]
        if not isinstance(found, dict):
            self.fail(key, f"'{key}' is no table", f"write [{self._place}.{key}]")
        return Table(found, self._where, f"{self._place}.{key}", self._group, key)

    def take(self, key: str) -> Any:
        """The value of a field, as its row describes it; its default where it is not there.

        Of a field that takes several values, a tuple.
        """
        row = FIELDS[self._group][key]
        if key not in self._content:
            if row.required:
                self.fail(key, f"`{key}` is missing")
            return row.default
        found = self._content.pop(key)
        if found in ("", []):
            self.fail(key, f"`{key}` is empty")
        try:
            row.check(found, f"`{key}`")
        except UsageError as error:
            self.fail(key, error.what, error.help)
        if not row.several:
            return found
        several = found if isinstance(found, list) else [found]
        return tuple(float(one) if row.kind is NUMBER else one for one in several)

    def file(self, key: str, folder: Path) -> Path:
        """A file or folder that must exist, relative to `folder`."""
        found: str = self.take(key)
        path = folder / found
        if not path.exists():
            self.fail(
                key,
                f"'{found}' does not exist",
                "paths are relative to the experiment's file",
            )
        return path

    def rest(self) -> dict[str, Any]:
        """All fields that are left, taken."""
        left, self._content = self._content, {}
        return left

    def end(self) -> None:
        """Refuses fields that nobody took."""
        for key in self._content:
            self.fail(key, f"`{key}` is unknown here")


def read_tables(top: Table, key: str, group: Group) -> Iterator[Table]:
    """The tables inside a table, one for each of what is varied."""
    table = top.table(key, group)
    for name, _ in list(table.items()):
        yield table.inner(name)
