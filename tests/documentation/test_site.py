"""The documentation site builds without a warning, and holds every page."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import yaml

from tests.support.paths import ROOT


def _navigation() -> list[str]:
    class Loader(yaml.SafeLoader):
        """Reads tags that name Python objects as nothing."""

    Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda loader, suffix, node: None)
    config = yaml.load((ROOT / "mkdocs.yml").read_text(), Loader)

    def pages(entry: object) -> list[str]:
        if isinstance(entry, str):
            return [entry]
        if isinstance(entry, dict):
            return [page for value in entry.values() for page in pages(value)]
        assert isinstance(entry, list)
        return [page for value in entry for page in pages(value)]

    return pages(config["nav"])


def test_the_navigation_names_every_page() -> None:
    docs = ROOT / "docs"
    pages = (path.relative_to(docs).as_posix() for path in docs.rglob("*.md"))
    assert sorted(_navigation()) == sorted(pages)


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    api = (tmp_path / "site" / "api.html").read_text()
    assert "tinytrain.compile_model" in api
    assert "TinytrainError" in api
