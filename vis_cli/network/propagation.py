"""Propagation of masks from frame to frame with a memory bank (Propose-Reduce, Sec. 3.1.2).

Inference and training share this walk. `engine.propose` propagates the sequence proposals of a video with it, and
`training.objective` the guided objects of a batch of clips.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

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

    def state_dict(self) -> dict[str, Any]:
        """Return the objects and their memory as tensors and numbers. `from_state_dict` restores them."""
        return {
            "guidance_frame": self._guidance_frame,
            "guidance": [self._guidance.key, self._guidance.value],
            "rule": dataclasses.asdict(self._rule),
            "memorized_frames": sorted(self._memorized_frames),
            "bank": self.bank.state_dict(),
        }

    @staticmethod
    def from_state_dict(state: dict[str, Any]) -> Propagation:
        """Return the objects of `state_dict`."""
        guidance, rule = MemoryEntry(*state["guidance"]), MemoryRule(**state["rule"])
        frames = frozenset(state["memorized_frames"])
        propagation = Propagation(state["guidance_frame"], guidance, rule, memorized_frames=frames)
        propagation.bank = MemoryBank.from_state_dict(state["bank"])
        return propagation

    def keep(self, rows: Sequence[int]) -> None:
        """Continue with the objects `rows` only, in that order."""
        self._guidance = self._guidance.select(rows)
        self.bank.keep(rows)

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
    network: PropagatingNetwork,
    frames: Iterable[EncodedFrame],
    propagations: Sequence[Propagation],
    *,
    memorize_last: bool = False,
) -> Iterator[Step]:
    """Propagate objects from frame to frame: read the memory, decide the masks, memorize them.

    The caller decides: it sets `masks` of each step before it asks for the next step. The caller can also append to
    `propagations` during a step. These objects are propagated from the next frame on.

    Args:
        network: A network in evaluation or training mode.
        frames: Frames in the order of propagation, forward or backward in time.
        propagations: Objects with their memory banks. They are written to.
        memorize_last: Memorize the masks of the last frame, too: the propagation continues with other frames.

    Raises:
        ValueError: The caller did not set the masks of a step.
    """
    previous: tuple[Step, list[Propagation]] | None = None
    for frame in frames:
        if previous is not None:
            _memorize(network, *previous)
        current = list(propagations)
        step = Step(frame, network.propagate(frame.query, [propagation.bank for propagation in current]))
        yield step
        previous = step, current
    if memorize_last and previous is not None:
        _memorize(network, *previous)


def _memorize(network: PropagatingNetwork, step: Step, propagations: Sequence[Propagation]) -> None:
    for propagation, masks in zip(propagations, step.masks, strict=True):
        propagation.memorize(network, step.frame, masks)
