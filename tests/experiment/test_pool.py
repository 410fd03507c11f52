"""Jobs in processes: what fails is told, and the others go on."""

from __future__ import annotations

import errno
import functools
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.monitors import Heard
from tinytrain.errors import UsageError
from tinytrain.experiments.once import computed_once, write_whole
from tinytrain.experiments.pool import Job, Report, reasons, run_jobs
from tinytrain.experiments.processes import Processes


def succeed(value: int, report: Report) -> dict[str, Any]:
    report("half", 1, 2)
    return {"value": value, "threads": os.environ["OMP_NUM_THREADS"]}


def refuse(report: Report) -> dict[str, Any]:
    raise UsageError("this is not possible", help="do something else")


def divide(report: Report) -> dict[str, Any]:
    return {"value": 1 // 0}


def fill(report: Report) -> dict[str, Any]:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "cache/file")


def import_torch(report: Report) -> dict[str, Any]:
    raise ModuleNotFoundError("No module named 'torch'", name="torch")


def die(report: Report) -> dict[str, Any]:
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


def test_what_fails_takes_nothing_along() -> None:
    heard = Heard()
    jobs = [
        Job("dies", die),
        Job("refuses", refuse),
        Job("divides", divide),
        Job("fills", fill),
        Job("imports", import_torch),
        Job("one", functools.partial(succeed, 1)),
    ]

    def then(job: Job) -> list[Job]:
        return [Job("two", functools.partial(succeed, 2))] if job.title == "one" else []

    with Processes(1) as workers:
        run_jobs(jobs, workers, heard, then)
    assert {title: record["value"] for title, record in heard.done.items()} == {"one": 1, "two": 2}
    assert all(record["threads"] == "1" for record in heard.done.values())
    assert heard.reports == [("one", "half", 1, 2), ("two", "half", 1, 2)]
    assert heard.failures["dies"] == "the process of this run ended with signal 9"
    assert heard.failures["refuses"].startswith("this is not possible\n")
    assert "ZeroDivisionError" in heard.failures["divides"]
    assert heard.failures["fills"] == (
        "the system refused: No space left on device\n"
        "  at: cache/file\n"
        "  help: make room on the disk, or check the permissions"
    )
    assert heard.failures["imports"] == (
        "Python's package 'torch' is not installed\n  help: pip install 'tinytrain[torch]'"
    )


def test_an_end_before_the_end_leaves_the_workers_free() -> None:
    class Full(Heard):
        def finished(self, job: Job, record: dict[str, Any]) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def nothing_more(job: Job) -> list[Job]:
        return []

    heard, jobs = Heard(), [Job(str(k), functools.partial(succeed, k)) for k in range(3)]
    with Processes(2) as workers:
        with pytest.raises(OSError, match="No space"):
            run_jobs(jobs, workers, Full(), nothing_more)
        assert not workers.is_busy()
        run_jobs(jobs, workers, heard, nothing_more)
    assert {title: record["value"] for title, record in heard.done.items()} == {
        "0": 0, "1": 1, "2": 2
    }  # fmt: skip


def test_a_reason_of_many_jobs_is_told_once() -> None:
    failures = [("a", "no room"), ("b", "a bug"), ("c", "no room"), ("d", "no room")]
    assert reasons(failures) == "a and 2 more: no room\nb: a bug"


def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    """They clean up, and say nothing."""
    code = (
        "import functools, os, signal, sys\n"
        "from pathlib import Path\n"
        "from tests.support.cluster_jobs import wait_or_tell\n"
        "from tests.support.monitors import Heard\n"
        "from tinytrain.experiments.pool import Job, run_jobs\n"
        "from tinytrain.experiments.processes import Processes\n"
        "class Killed(Heard):\n"
        "    def report(self, *what):\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "if __name__ == '__main__':\n"
        "    job = Job('waits', functools.partial(wait_or_tell, Path(sys.argv[1])))\n"
        "    with Processes(1) as workers:\n"
        "        run_jobs([job], workers, Killed(), lambda job: [])\n"
    )
    mark = tmp_path / "ended"
    # Its errors end when the last process that has them does.
    done = subprocess.run([sys.executable, "-c", code, str(mark)], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL
    assert mark.exists() and done.stderr == ""


def test_a_file_is_computed_once(tmp_path: Path) -> None:
    calls = []

    def compute(path: Path) -> None:
        calls.append(path)
        time.sleep(0.2)
        path.write_text("found")

    def want() -> None:
        assert computed_once(tmp_path / "cache" / "file", compute).read_text() == "found"

    threads = [threading.Thread(target=want) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1


def test_a_write_that_is_refused_says_where(tmp_path: Path) -> None:
    def write(path: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OSError, match="No space") as caught:
        write_whole(tmp_path / "file", write)
    assert caught.value.filename == str(tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


def test_what_fails_leaves_no_file(tmp_path: Path) -> None:
    def compute(path: Path) -> None:
        path.write_text("half")
        raise UsageError("no more")

    for _ in range(2):
        try:
            computed_once(tmp_path / "file", compute)
        except UsageError:
            assert [file.name for file in tmp_path.iterdir()] == ["locks"]
        else:
            raise AssertionError("it was computed")
