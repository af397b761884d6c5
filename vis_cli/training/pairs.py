"""Order of the clips of a run. Sources are mixed by weight.

A clip depends only on the seed, the epoch and its index. Used by `run`, with a torch DataLoader:
`DataLoader(ClipDataset(mix), batch_sampler=BatchPlan(...), collate_fn=collate, worker_init_fn=init_worker)`.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol, TypeAlias

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset, Sampler

from vis_cli.training.datasets import ClipSource
from vis_cli.training.structures import TrainClip

ClipKey: TypeAlias = tuple[int, int, tuple[int, int], int]  # epoch, index, (height, width) and number of the frames


@dataclass(frozen=True, slots=True)
class ClipShapes:
    """Possible shapes of the clips of a step."""

    canvases: Sequence[tuple[int, int]]  # (height, width); each batch samples one
    num_frames: int


@dataclass(frozen=True, slots=True)
class Share:
    """Parts of the batch of a step, and the parts of this process."""

    parts: int = 1  # number of parts of the batch
    first: int = 0  # index of the first part of this process
    count: int = 1  # number of parts of this process


class Clips(Protocol):
    """A source of clips by key."""

    def sample(self, key: ClipKey) -> TrainClip:
        """Create the clip of a key. It depends only on the key."""


@dataclass(frozen=True, slots=True)
class MixedClips:
    """Clips sampled from several sources, with probabilities in proportion to their weights."""

    sources: Sequence[ClipSource]
    weights: Sequence[float]
    seed: int

    def __post_init__(self) -> None:
        """Check the weights.

        Raises:
            ValueError: The weights do not fit the sources, or a source is empty.
        """
        _check_weights(self.sources, self.weights)

    def sample(self, key: ClipKey) -> TrainClip:
        """Create the clip of a key. A resumed run therefore gets the same clips as an uninterrupted run.

        Raises:
            VisError: An image cannot be read.
        """
        epoch, index, canvas, num_frames = key
        rng = np.random.default_rng([self.seed, epoch, index])
        shares = np.asarray(self.weights, np.float64) / sum(self.weights)
        source = self.sources[int(rng.choice(len(self.sources), p=shares))]
        item = int(rng.integers(len(source)))
        return source.sample(item, canvas=canvas, num_frames=num_frames, rng=rng)


@dataclass(frozen=True, slots=True)
class EpochClips:
    """Clips of several sources. An epoch contains each item `weight` times.

    Reference: Propose-Reduce, Sec. 3.1.3.
    """

    sources: Sequence[ClipSource]
    weights: Sequence[float]
    seed: int

    def __post_init__(self) -> None:
        """Check the weights.

        Raises:
            ValueError: The weights do not fit the sources, or a source is empty.
        """
        _check_weights(self.sources, self.weights)

    def __len__(self) -> int:
        """Return the number of clips per epoch."""
        return sum(round(weight * len(source)) for source, weight in zip(self.sources, self.weights, strict=True))

    def sample(self, key: ClipKey) -> TrainClip:
        """Create the clip of a key. The index is the position in the order of the epoch.

        Raises:
            VisError: An image cannot be read.
        """
        epoch, index, canvas, num_frames = key
        counts = tuple(len(source) for source in self.sources)
        source, item = _epoch_order(counts, tuple(self.weights), self.seed, epoch)[index].tolist()
        rng = np.random.default_rng([self.seed, epoch, index])
        chosen: ClipSource = self.sources[source]
        return chosen.sample(item, canvas=canvas, num_frames=num_frames, rng=rng)


class ClipDataset(Dataset[TrainClip]):
    """Mixed clips as a dataset for a torch DataLoader, with `ClipKey` as the index."""

    def __init__(self, clips: Clips) -> None:
        """Store the source of the clips."""
        self._clips = clips

    def __getitem__(self, key: ClipKey) -> TrainClip:
        """Create the clip of a key."""
        return self._clips.sample(key)


class BatchPlan(Sampler[list[ClipKey]]):
    """Keys of the clips of each step. All clips of a batch have the same canvas."""

    def __init__(
        self,
        num_steps: int,
        batch_size: int,
        shapes_at: Callable[[int], ClipShapes],
        seed: int,
        start_step: int = 0,
        *,
        epoch_length: int | None = None,
        share: Share = Share(),
    ) -> None:
        """Plan the steps from `start_step` to `num_steps`.

        Args:
            num_steps: Number of steps of the run.
            batch_size: Clips per step, over all processes.
            shapes_at: Function from a step to the shapes of its clips.
            seed: Seed of the run.
            start_step: First step of the plan.
            epoch_length: Clips per epoch. None: each step is an epoch with sampled items.
            share: Parts of each batch that the plan contains, in order.

        Raises:
            ValueError: The batch is empty, or it cannot be divided into the parts.
        """
        if batch_size < 1 or batch_size % share.parts or share.first + share.count > share.parts:
            raise ValueError(f"a batch of {batch_size} clips cannot be shared as {share}")
        self._num_steps, self._batch_size, self._shapes_at = num_steps, batch_size, shapes_at
        self._seed, self._start_step, self._epoch_length, self._share = seed, start_step, epoch_length, share

    def __len__(self) -> int:
        """Return the number of parts of the plan."""
        return max(self._num_steps - self._start_step, 0) * self._share.count

    def __iter__(self) -> Iterator[list[ClipKey]]:
        """Yield the keys of each part."""
        size = self._batch_size // self._share.parts
        for step in range(self._start_step, self._num_steps):
            shapes = self._shapes_at(step)
            rng = np.random.default_rng([self._seed, step])
            canvas = shapes.canvases[int(rng.integers(len(shapes.canvases)))]
            keys = [(*self._place(step, i), canvas, shapes.num_frames) for i in range(self._batch_size)]
            for part in range(self._share.first, self._share.first + self._share.count):
                yield keys[part * size : (part + 1) * size]

    def _place(self, step: int, place: int) -> tuple[int, int]:
        """Return the epoch and the index of a clip."""
        return (
            (step, place) if self._epoch_length is None else divmod(step * self._batch_size + place, self._epoch_length)
        )


def init_worker(worker_id: int) -> None:
    """Limit a loader process to one thread, and let it ignore SIGTERM until the run has saved its state."""
    del worker_id
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    signal.signal(
        signal.SIGTERM, signal.SIG_IGN
    )  # sent to all processes of a group; the end of the run also ends the loader


@lru_cache(maxsize=2)
def _epoch_order(counts: tuple[int, ...], weights: tuple[float, ...], seed: int, epoch: int) -> NDArray[np.int64]:
    """Return the pairs of source and item of an epoch, (n, 2)."""
    rng = np.random.default_rng([seed, epoch])
    pairs = []
    for source, (count, weight) in enumerate(zip(counts, weights, strict=True)):
        rounds, rest = divmod(round(weight * count), count)
        items = np.concatenate([np.tile(np.arange(count), rounds), rng.permutation(count)[:rest]])
        pairs.append(np.stack([np.full_like(items, source), items], axis=1))
    return np.asarray(rng.permutation(np.concatenate(pairs)), np.int64)


def _check_weights(sources: Sequence[ClipSource], weights: Sequence[float]) -> None:
    if len(sources) != len(weights) or min(weights, default=0.0) < 0.0 or sum(weights) <= 0.0:
        raise ValueError(f"{len(sources)} sources cannot be mixed with the weights {list(weights)}")
    if any(len(source) == 0 for source in sources):
        raise ValueError("a source without items cannot be mixed")
