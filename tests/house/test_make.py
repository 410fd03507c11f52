"""The Makefile, and what calls it: CI, the repository's host, hooks before a commit.

What they run is written down in the Makefile alone; each of them names its targets.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.paths import ROOT

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = dict(re.findall(r"^([a-z-]+):(.*?) ## .*$", MAKEFILE, re.MULTILINE))
"""What each target needs first."""
PHONY = re.findall(r"[a-z-]+", re.search(r"^\.PHONY:((?:.*\\\n)*.*)$", MAKEFILE, re.MULTILINE)[1])
HOOKS = ROOT / ".pre-commit-config.yaml"
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def loaded(file: Path) -> Any:
    return yaml.safe_load(file.read_text(encoding="utf-8"))


def in_ci() -> list[str]:
    """The commands of .ci/run that run targets."""
    return re.findall(r"^make .*$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)


def in_workflows() -> list[str]:
    return [
        step["run"]
        for file in WORKFLOWS
        for job in loaded(file)["jobs"].values()
        for step in job["steps"]
        if "run" in step
    ]


def in_hooks() -> list[str]:
    return [hook["entry"] for place in loaded(HOOKS)["repos"] for hook in place["hooks"]]


def test_help_has_a_sentence_for_every_target() -> None:
    listing = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    shown = {line.split()[1]: line.split(maxsplit=2)[2] for line in listing.splitlines()}
    assert list(shown) == list(TARGETS) == PHONY
    assert all(len(sentence.split()) >= 3 for sentence in shown.values())


def test_a_change_passes_all_tests_and_checks() -> None:
    assert in_ci() == ["make test", "make test-slow"]
    assert "lint" in TARGETS["test"].split()
    assert set(TARGETS["test-all"].split()) == {"test", "test-slow"}


def test_the_host_runs_what_ci_runs() -> None:
    assert sorted(in_workflows()) == sorted(in_ci())


def test_each_part_of_lint_has_a_hook() -> None:
    assert in_hooks() == [f"make {part}" for part in TARGETS["lint"].split()]


def test_hooks_are_as_pre_commit_wants_them() -> None:
    program = Path(sys.executable).with_name("pre-commit")
    done = subprocess.run([program, "validate-config", str(HOOKS)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("file", [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))])
def test_docs_name_targets_that_exist(file: Path) -> None:
    named = re.findall(r"(?:^|`)make ([a-z-]+)", file.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(named) <= set(TARGETS)
