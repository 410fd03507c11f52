"""Fills a template in; what a template names and nobody gives is an error."""

from __future__ import annotations

import jinja2

from tinytrain import resources


def render(folder: str, template: str, **text: object) -> str:
    """The text of a Jinja template with its names replaced.

    Args:
        folder: one of `resources.FOLDERS`.
        template: path in that folder.
        text: what each name stands for.
    """
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    source = (resources.folder(folder) / template).read_text(encoding="utf-8")
    return environment.from_string(source).render(**text)
