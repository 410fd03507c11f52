"""Fills a template in; what a template names and nobody gives is an error.

A template may include others of its folder. In one of HTML whatever is filled in is escaped; in one
of C long lines are broken, so that the template need not care how long names are.
"""

from __future__ import annotations

import jinja2

from tinytrain import resources
from tinytrain.toolchain.c_layout import lay_out


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
    filled = environment.get_template(template).render(**text)
    return lay_out(filled) if template.endswith((".c.j2", ".h.j2")) else filled
