"""Propagation of masks from frame to frame with a memory bank (Propose-Reduce, Sec. 3.1.2).

Inference and training share this walk. `engine.propose` propagates the sequence proposals of a video with it, and
`training.objective` the guided objects of a batch of clips.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from torch import Tensor

from vis_cli.network.memory import MemoryBank, MemoryRule
from vis_cli.network.structures import EncodedFrame, FrameFeatures, MemoryEntry, select_objects

if TYPE_CHECKING:
    from vis_cli.network.protocol import PropagatingNetwork


class Propagation:
    """N objects that start in the same guidance frame, with their memory bank."""

    def __init__(
        self,
        guidance_frame: int,
        guidance: MemoryEntry,
        rule: MemoryRule,
        *,
        memorized_frames: frozenset[int] = frozenset(),
    ) -> None:
        """Start with a memory that contains the guidance frame only.

        Args:
            guidance_frame: Its frame index.
            guidance: The objects in the guidance frame, as the network memorized them.
            rule: The other frames that the memory keeps.
            memorized_frames: Frames that the memory keeps in any case, in addition to the rule.
        """
        self._guidance_frame = guidance_frame
        self._guidance = guidance
        self._rule = rule
        self._memorized_frames = memorized_frames
        self.bank = MemoryBank(guidance, rule)

    def restart(self) -> Propagation:
        """Return the same objects with a memory that contains the guidance frame only."""
        return Propagation(self._guidance_frame, self._guidance, self._rule, memorized_frames=self._memorized_frames)

    def memorize(self, network: PropagatingNetwork, frame: EncodedFrame, masks: Tensor) -> None:
        """Write a frame with the masks (N, h, w) into the memory, if the rule keeps it."""
        if frame.index == self._guidance_frame or self._rule.max_frames == 1:
            return
        is_kept = frame.index in self._memorized_frames or (frame.index - self._guidance_frame) % self._rule.stride == 0
        if is_kept or self._rule.keep_previous:
            self.bank.write(network.memorize(frame.features, masks), temporary=not is_kept)


@dataclass(slots=True)
class Step:
    """The propagation to one frame."""

    frame: EncodedFrame
    separate: list[Tensor]  # (N, h, w) float32 for each `Propagation`: probability of each object, without the others
    masks: list[Tensor] = field(default_factory=list)  # the same after the objects have competed for the pixels


def encode_clip(
    network: PropagatingNetwork, query_frames: Sequence[FrameFeatures], clip: Tensor | None = None
) -> Iterator[EncodedFrame]:
    """Encode the query frames 1 to T-1 of B clips for N objects.

    Args:
        network: It encodes the queries.
        query_frames: Features of B frames, for each frame index from 1.
        clip: (N,) clip of each object; None if there is only one clip.
    """
    for index, features in enumerate(query_frames, start=1):
        query = network.encode_query(features)
        if clip is None:
            yield EncodedFrame(index, features, query)
        else:
            yield EncodedFrame(index, select_objects(features, clip), query.select(clip))


def propagate_masks(
    network: PropagatingNetwork, frames: Iterable[EncodedFrame], propagations: Sequence[Propagation]
) -> Iterator[Step]:
    """Propagate objects from frame to frame: read the memory, decide the masks, memorize them.

    The caller decides: it sets `masks` of each step before it asks for the next step. The caller can also append to
    `propagations` during a step. These objects are propagated from the next frame on. The masks of the last frame are
    not memorized, because no other frame reads them.

    Args:
        network: A network in evaluation or training mode.
        frames: Frames in the order of propagation, forward or backward in time.
        propagations: Objects with their memory banks. They are written to.

    Raises:
        ValueError: The caller did not set the masks of a step.
    """
    memorized: tuple[Step, list[Propagation]] | None = None
    for frame in frames:
        if memorized is not None:
            step, objects = memorized
            for propagation, masks in zip(objects, step.masks, strict=True):
                propagation.memorize(network, step.frame, masks)
        current = list(propagations)
        step = Step(frame, [network.propagate(frame.query, propagation.bank) for propagation in current])
        yield step
        memorized = step, current
