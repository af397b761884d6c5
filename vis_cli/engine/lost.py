"""Sequences that have ended: their memory recognizes an object that returns; used by `method`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vis_cli.engine.frames import Size
from vis_cli.engine.masks import encode_probs
from vis_cli.network.memory import MemoryBank
from vis_cli.network.structures import EncodedFrame
from vis_cli.records.rle import Rle, sequence_iou

if TYPE_CHECKING:
    from vis_cli.network.protocol import PropagatingNetwork

MAX_LOST = 10  # sequences whose memory is kept
# IoU of the mask that an old memory finds with the mask of the new sequence. benchmarks/README.md#rejoinpy measures it.
REJOIN_IOU = 0.7


@dataclass(frozen=True, slots=True)
class LostObject:
    """An object that has left the view."""

    id: int  # of its proposal
    bank: MemoryBank


class LostObjects:
    """The objects that were lost last."""

    def __init__(self) -> None:
        self._lost: list[LostObject] = []

    def add(self, id_: int, bank: MemoryBank) -> None:
        """Keep the memory of an object. The oldest one is dropped."""
        self._lost = [*self._lost, LostObject(id_, bank)][-MAX_LOST:]

    def state_dict(self) -> list[dict[str, Any]]:
        """Return the lost objects as tensors and numbers. `from_state_dict` restores them."""
        return [{"id": lost.id, "bank": lost.bank.state_dict()} for lost in self._lost]

    @staticmethod
    def from_state_dict(state: list[dict[str, Any]]) -> LostObjects:
        """Return the lost objects of `state_dict`."""
        lost = LostObjects()
        lost._lost = [LostObject(some["id"], MemoryBank.from_state_dict(some["bank"])) for some in state]
        return lost

    @property
    def ids(self) -> tuple[int, ...]:
        """Return the ids of the lost objects."""
        return tuple(lost.id for lost in self._lost)

    def remove(self, id_: int) -> None:
        """Drop an object that has been found again."""
        self._lost = [lost for lost in self._lost if lost.id != id_]

    def find(
        self, network: PropagatingNetwork, frame: EncodedFrame, mask: Rle, video: Size, threshold: float
    ) -> int | None:
        """Return the id of the lost object whose memory finds a mask in a frame, None if no memory does.

        Args:
            network: It reads the memory.
            frame: The key frame of a new sequence.
            mask: Its mask at the size of the video.
            video: (H, W) of the video.
            threshold: Minimum probability of a mask pixel.
        """
        best = max(self._overlaps(network, frame, mask, video, threshold), default=(0.0, -1))
        return best[1] if best[0] >= REJOIN_IOU else None

    def __bool__(self) -> bool:
        """Return whether there is a lost object."""
        return bool(self._lost)

    def _overlaps(
        self, network: PropagatingNetwork, frame: EncodedFrame, mask: Rle, video: Size, threshold: float
    ) -> Iterator[tuple[float, int]]:
        for lost in self._lost:
            (probs,) = network.propagate(frame.query, [lost.bank])
            (found,) = encode_probs(probs, video, threshold)
            yield float(sequence_iou([[mask]], [[found]])[0, 0]), lost.id
