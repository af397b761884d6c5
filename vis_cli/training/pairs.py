"""Which clip is trained on when: sources mixed by weight, every draw a function of seed, epoch and index only.

Used by `trainer`, through a torch DataLoader: `DataLoader(ClipDataset(mix), batch_sampler=BatchPlan(...),
collate_fn=collate, worker_init_fn=init_worker)`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset, Sampler

from vis_cli.training.datasets import ClipSource
from vis_cli.training.structures import TrainClip

ClipKey: TypeAlias = tuple[int, int, tuple[int, int]]  # epoch, index, (height, width) of the frames: names a sample


@dataclass(frozen=True, slots=True)
class MixedClips:
    """Draw clips of several sources, each with a probability in proportion to its weight."""

    sources: Sequence[ClipSource]
    weights: Sequence[float]
    seed: int
    num_frames: int = 2

    def __post_init__(self) -> None:
        """Check the weights.

        Raises:
            ValueError: they do not fit the sources, or a source is empty.
        """
        if len(self.sources) != len(self.weights) or min(self.weights, default=0.0) < 0.0 or sum(self.weights) <= 0.0:
            raise ValueError(f"{len(self.sources)} sources cannot be mixed with the weights {list(self.weights)}")
        if any(len(source) == 0 for source in self.sources):
            raise ValueError("a source without items cannot be mixed")

    def sample(self, key: ClipKey) -> TrainClip:
        """Make the clip of a key; an interrupted run that goes on sees what an unbroken one would have.

        Raises:
            VisError: a picture cannot be read.
        """
        epoch, index, canvas = key
        rng = np.random.default_rng([self.seed, epoch, index])
        shares = np.asarray(self.weights, np.float64) / sum(self.weights)
        source = self.sources[int(rng.choice(len(self.sources), p=shares))]
        item = int(rng.integers(len(source)))
        return source.sample(item, canvas=canvas, num_frames=self.num_frames, rng=rng)


class ClipDataset(Dataset[TrainClip]):
    """Offer mixed clips to a torch DataLoader; its items are asked for by `ClipKey`."""

    def __init__(self, clips: MixedClips) -> None:
        """Take where the clips come from."""
        self._clips = clips

    def __getitem__(self, key: ClipKey) -> TrainClip:
        """Make the clip of a key (see `MixedClips.sample`)."""
        return self._clips.sample(key)


class BatchPlan(Sampler[list[ClipKey]]):
    """List the samples of every step of a run; the canvas is one in a batch and changes between batches."""

    def __init__(
        self, num_steps: int, batch_size: int, canvases: Sequence[tuple[int, int]], seed: int, start_step: int = 0
    ) -> None:
        """Plan the steps from `start_step` to `num_steps`.

        Args:
            num_steps: steps of the whole run.
            batch_size: clips a step.
            canvases: heights and widths to draw from.
            seed: of the run.
            start_step: first step still to be done.

        Raises:
            ValueError: there is no canvas or no clip in a batch.
        """
        if batch_size < 1 or not canvases:
            raise ValueError(f"a batch needs clips and a canvas, not {batch_size} and {list(canvases)}")
        self._num_steps, self._batch_size, self._canvases = num_steps, batch_size, tuple(canvases)
        self._seed, self._start_step = seed, start_step

    def __len__(self) -> int:
        """Count the steps still to be done."""
        return max(self._num_steps - self._start_step, 0)

    def __iter__(self) -> Iterator[list[ClipKey]]:
        """Yield the keys of one step after another; epoch is the step, index the place in its batch."""
        for step in range(self._start_step, self._num_steps):
            rng = np.random.default_rng([self._seed, step])
            canvas = self._canvases[int(rng.integers(len(self._canvases)))]
            yield [(step, place, canvas) for place in range(self._batch_size)]


def init_worker(worker_id: int) -> None:
    """Keep a loading process to one thread: the processes share the cores already."""
    del worker_id
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
