"""Jobs keep their order and their errors, in this process and in others."""

from __future__ import annotations

import operator
import os
from functools import partial

import pytest

from vis_cli.errors import VisError
from vis_cli.metrics import workers
from vis_cli.metrics.workers import default_workers, run_jobs


def fail(message: str) -> int:
    raise VisError(message)


@pytest.mark.parametrize("num_workers", [1, 2, None])
def test_results_come_in_the_order_of_the_jobs(num_workers: int | None) -> None:
    seen = []
    jobs = [partial(operator.neg, number) for number in range(5)]
    found = run_jobs(jobs, num_workers=num_workers, progress=lambda *state: seen.append(state))
    assert found == [0, -1, -2, -3, -4]
    assert seen == [("evaluate", done, 5) for done in range(1, 6)]
    assert run_jobs([], num_workers=num_workers) == []


@pytest.mark.parametrize("num_workers", [1, 2])
def test_a_mistake_goes_through(num_workers: int) -> None:
    with pytest.raises(VisError, match="the second"):
        run_jobs([partial(operator.neg, 1), partial(fail, "the second"), partial(fail, "3")], num_workers=num_workers)


def test_a_process_that_is_ended_is_said() -> None:
    with pytest.raises(VisError, match=r"stopped, for example because the memory was full\. Use fewer workers"):
        run_jobs([partial(os._exit, 9)], num_workers=2)


def test_few_jobs_stay_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers.os, "sched_getaffinity", lambda pid: set(range(6)), raising=False)
    assert [default_workers(jobs) for jobs in (0, 1, 7, 8, 15, 24, 300)] == [1, 1, 1, 2, 3, 6, 6]
