"""300 damaged inputs of every kind, each read by a real command in a process of its own: `make fuzz` runs more."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

GROUPS, SIZE = 12, 25
ROOT = Path(__file__).parents[2]
MODULE = (sys.executable, "-m", "tests.robustness.fuzz")


@pytest.fixture(scope="module")
def server() -> Iterator[subprocess.Popen[str]]:
    """Start the fork server: a process without the threads of this one."""
    with subprocess.Popen(
        [*MODULE, "--serve"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.stdin.close()


@pytest.mark.parametrize("group", range(GROUPS))
def test_damaged_input_ends_in_one_line(group: int, server: subprocess.Popen[str]) -> None:
    assert server.stdin is not None
    assert server.stdout is not None
    numbers = list(range(group * SIZE, (group + 1) * SIZE))
    server.stdin.write(json.dumps(numbers) + "\n")
    server.stdin.flush()
    reports = json.loads(server.stdout.readline())
    assert [report["number"] for report in sorted(reports, key=lambda report: report["number"])] == numbers
    faults = [
        f"{fault['name']}: {fault['detail']}; run it again: {' '.join(MODULE)} --case {report['number']}"
        for report in reports
        for fault in report["faults"]
    ]
    assert not faults, "\n".join(faults)
