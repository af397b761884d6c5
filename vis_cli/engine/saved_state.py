"""State of a video between two windows as bytes, so that an interrupted run resumes; used by `video_run`.

The bytes are an archive of `torch.save` with tensors, numbers, strings, lists and dicts. Reading it runs no code.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from vis_cli.engine.lost import LostObjects
from vis_cli.engine.method import MethodState
from vis_cli.engine.sequences import KeyFrameProposals, ProposalIds


def save_state(state: MethodState, ids: ProposalIds, labels: Mapping[int, int]) -> bytes:
    """Return the state after a window. The frames of the window are not included: they are decoded again.

    Args:
        state: The state.
        ids: Ids of new proposals.
        labels: Label of each given object with a known class.
    """
    if state.previous is None:
        raise ValueError("no window is done")
    frames = state.previous.indices
    data = {
        "tracks": state.tracks.state_dict(),
        "live": [some.state_dict() for some in state.live],
        "lost": state.lost.state_dict(),
        "shot_starts": list(state.shot_starts),
        "num_windows": state.num_windows,
        "frames": [frames.start, frames.stop],
        "next_id": ids.following,
        "labels": [[id_, label] for id_, label in labels.items()],
    }
    stream = io.BytesIO()
    torch.save(_compact(data, {}), stream)
    return stream.getvalue()


def load_state(data: bytes, state: MethodState, ids: ProposalIds, labels: dict[int, int], device: torch.device) -> None:
    """Continue with a state that `save_state` returned.

    Args:
        data: The bytes.
        state: A new state.
        ids: Ids of new proposals.
        labels: Label of each given object with a known class.
        device: Device of the network.
    """
    saved = torch.load(io.BytesIO(data), map_location=device, weights_only=True)
    state.tracks.restore(saved["tracks"])
    state.live = [KeyFrameProposals.from_state_dict(some) for some in saved["live"]]
    state.lost = LostObjects.from_state_dict(saved["lost"])
    state.shot_starts = list(saved["shot_starts"])
    state.num_windows = saved["num_windows"]
    state.skipped = range(*saved["frames"])
    ids.following = saved["next_id"]
    labels.update(saved["labels"])


def _compact(value: Any, copies: dict[int, Tensor]) -> Any:
    """Copy tensors that are a part of a larger storage, because torch saves the complete storage."""
    if isinstance(value, dict):
        return {key: _compact(item, copies) for key, item in value.items()}
    if isinstance(value, list):
        return [_compact(item, copies) for item in value]
    if isinstance(value, Tensor) and value.untyped_storage().nbytes() > value.nbytes:
        if id(value) not in copies:  # the key frame is also in the memory
            copies[id(value)] = value.clone()
        return copies[id(value)]
    return value
