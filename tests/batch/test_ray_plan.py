"""Division of a Ray cluster into workers."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from vis_cli.batch.ray_plan import Node, divide


@pytest.mark.parametrize(
    ("nodes", "wanted", "number", "cores", "gpus", "threads"),
    [
        ([(4, 0), (4, 0)], None, 2, 4, 0, 4),  # one worker per 4 cores, as on one machine
        ([(6, 0), (6, 0)], None, 2, 6, 0, 6),
        ([(2, 0), (0, 0)], None, 1, 2, 0, 2),  # a node without cores gets no worker
        ([(4, 0), (64, 0)], None, 17, 4, 0, 4),
        ([(4, 0), (2, 0)], 3, 3, 2, 0, 2),
        ([(4, 0), (3, 0)], 3, 3, 2, 0, 2),  # 2 + 1 workers: a core stays free, because all have as many threads
        ([(2, 0)], 5, 5, 1 / 3, 0, 1),  # 3 workers per core
        ([(32, 8), (64, 0)], None, 8, 4, 1, 4),  # only the GPUs count
        ([(32, 2)], 3, 3, 10, 0.5, 10),  # 2 workers per GPU
        ([(1, 2)], None, 2, 1 / 2, 1, 1),
        ([(64, 0)], None, 5, 12, 0, 12),  # at most 5 are useful
    ],
)
def test_the_share_of_each_worker(
    nodes: Sequence[tuple[int, int]], wanted: int | None, number: int, cores: float, gpus: float, threads: int
) -> None:
    at_most = 5 if len(nodes) == 1 and nodes[0][0] == 64 else 100
    machines = [Node(*node) for node in nodes]
    share = divide(machines, wanted, at_most=at_most)
    assert share is not None
    assert (share.number, share.threads) == (number, threads)
    assert (share.cores, share.gpus) == (pytest.approx(cores), pytest.approx(gpus))
    assert sum(map(share.fits, machines)) >= number


def test_a_cluster_without_cores() -> None:
    assert divide([], None, at_most=1) is None
    assert divide([Node(0, 1)], 2, at_most=2) is None
