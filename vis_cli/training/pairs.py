"""Which clip is trained on when: sources mixed by weight, every draw a function of seed, epoch and index only.

Used by `trainer`, through a torch DataLoader: `DataLoader(ClipDataset(mix), batch_sampler=BatchPlan(...),
collate_fn=collate, worker_init_fn=init_worker)`.
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

ClipKey: TypeAlias = tuple[int, int, tuple[int, int], int]  # epoch, index, frames' (height, width), their number


@dataclass(frozen=True, slots=True)
class ClipShapes:
    """Hold what the clips of a step may look like."""

    canvases: Sequence[tuple[int, int]]  # heights and widths to draw from
    num_frames: int


@dataclass(frozen=True, slots=True)
class Share:
    """Say into how many parts a step's batch is cut, and which of them this process does."""

    parts: int = 1
    first: int = 0
    count: int = 1


class Clips(Protocol):
    """What makes the clip of a key."""

    def sample(self, key: ClipKey) -> TrainClip:
        """Make the clip of a key, a function of the key only."""


@dataclass(frozen=True, slots=True)
class MixedClips:
    """Draw clips of several sources, each with a probability in proportion to its weight."""

    sources: Sequence[ClipSource]
    weights: Sequence[float]
    seed: int

    def __post_init__(self) -> None:
        """Check the weights.

        Raises:
            ValueError: they do not fit the sources, or a source is empty.
        """
        _check_weights(self.sources, self.weights)

    def sample(self, key: ClipKey) -> TrainClip:
        """Make the clip of a key; an interrupted run that goes on sees what an unbroken one would have.

        Raises:
            VisError: a picture cannot be read.
        """
        epoch, index, canvas, num_frames = key
        rng = np.random.default_rng([self.seed, epoch, index])
        shares = np.asarray(self.weights, np.float64) / sum(self.weights)
        source = self.sources[int(rng.choice(len(self.sources), p=shares))]
        item = int(rng.integers(len(source)))
        return source.sample(item, canvas=canvas, num_frames=num_frames, rng=rng)


@dataclass(frozen=True, slots=True)
class EpochClips:
    """Show each item of several sources once per epoch, times the weight of its source (Propose-Reduce, Sec. 3.1.3)."""

    sources: Sequence[ClipSource]
    weights: Sequence[float]
    seed: int

    def __post_init__(self) -> None:
        """Check the weights.

        Raises:
            ValueError: they do not fit the sources, or a source is empty.
        """
        _check_weights(self.sources, self.weights)

    def __len__(self) -> int:
        """Count the clips of one epoch."""
        return sum(round(weight * len(source)) for source, weight in zip(self.sources, self.weights, strict=True))

    def sample(self, key: ClipKey) -> TrainClip:
        """Make the clip of a key, whose index is a place in its epoch's order.

        Raises:
            VisError: a picture cannot be read.
        """
        epoch, index, canvas, num_frames = key
        counts = tuple(len(source) for source in self.sources)
        source, item = _epoch_order(counts, tuple(self.weights), self.seed, epoch)[index].tolist()
        rng = np.random.default_rng([self.seed, epoch, index])
        chosen: ClipSource = self.sources[source]
        return chosen.sample(item, canvas=canvas, num_frames=num_frames, rng=rng)


class ClipDataset(Dataset[TrainClip]):
    """Offer mixed clips to a torch DataLoader; its items are asked for by `ClipKey`."""

    def __init__(self, clips: Clips) -> None:
        """Take where the clips come from."""
        self._clips = clips

    def __getitem__(self, key: ClipKey) -> TrainClip:
        """Make the clip of a key (see `MixedClips.sample`)."""
        return self._clips.sample(key)


class BatchPlan(Sampler[list[ClipKey]]):
    """List the samples of every step of a run; the canvas is one in a batch and changes between batches."""

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
            num_steps: steps of the whole run.
            batch_size: clips a step, over all processes.
            shapes_at: what the clips of a step look like.
            seed: of the run.
            start_step: first step still to be done.
            epoch_length: clips of an epoch; None: every step is an epoch of its own, whose items are drawn.
            share: the parts of each step's batch that are listed, one after another.

        Raises:
            ValueError: there is no clip in a batch, or it cannot be cut so.
        """
        if batch_size < 1 or batch_size % share.parts or share.first + share.count > share.parts:
            raise ValueError(f"a batch of {batch_size} clips cannot be shared as {share}")
        self._num_steps, self._batch_size, self._shapes_at = num_steps, batch_size, shapes_at
        self._seed, self._start_step, self._epoch_length, self._share = seed, start_step, epoch_length, share

    def __len__(self) -> int:
        """Count the parts still to be done."""
        return max(self._num_steps - self._start_step, 0) * self._share.count

    def __iter__(self) -> Iterator[list[ClipKey]]:
        """Yield the keys of one part after another."""
        size = self._batch_size // self._share.parts
        for step in range(self._start_step, self._num_steps):
            shapes = self._shapes_at(step)
            rng = np.random.default_rng([self._seed, step])
            canvas = shapes.canvases[int(rng.integers(len(shapes.canvases)))]
            keys = [(*self._place(step, i), canvas, shapes.num_frames) for i in range(self._batch_size)]
            for part in range(self._share.first, self._share.first + self._share.count):
                yield keys[part * size : (part + 1) * size]

    def _place(self, step: int, place: int) -> tuple[int, int]:
        """Return epoch and index of a clip."""
        return (
            (step, place) if self._epoch_length is None else divmod(step * self._batch_size + place, self._epoch_length)
        )


def init_worker(worker_id: int) -> None:
    """Keep a loading process to one thread, and alive until the run has saved itself."""
    del worker_id
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # goes to whole process groups; the run's end ends the worker too


@lru_cache(maxsize=2)
def _epoch_order(counts: tuple[int, ...], weights: tuple[float, ...], seed: int, epoch: int) -> NDArray[np.int64]:
    """Return the epoch's (n, 2) pairs of source and item."""
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
