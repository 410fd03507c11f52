"""Fills a template in; what a template names and nobody gives is an error.

A template may include others of its folder. In one of HTML whatever is filled in is escaped.
"""

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
    place = resources.folder(folder)
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: (place / name).read_text(encoding="utf-8")),
        undefined=jinja2.StrictUndefined,
        autoescape=lambda name: name is not None and name.endswith(".html.j2"),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).render(**text)
