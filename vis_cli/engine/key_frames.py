"""Choice of key frames (Propose-Reduce, Sec. 3.1.1, Eq. 1); used by `segmenter`."""

from __future__ import annotations

from collections.abc import Sequence

from vis_cli.settings import KeyFrameSpacing


def select_key_frames(num_frames: int, num_key_frames: int, spacing: KeyFrameSpacing) -> tuple[int, ...]:
    """Choose the key frames of a video.

    "even" is Propose-Reduce, Eq. 1: g(k) = max(floor(T / K), 1) k. "endpoints" includes the first and the last frame,
    as in docs/explanation/authors-implementation.md#fact-25, but without duplicates. A single key frame is frame 0.

    Args:
        num_frames: Number of frames of the video, T, at least 1.
        num_key_frames: Maximum number of key frames, K, at least 1.
        spacing: "even" or "endpoints".

    Returns:
        Frame indices in ascending order, without duplicates.
    """
    num_key_frames = min(num_key_frames, num_frames)  # a larger number changes nothing, and takes time
    steps = range(num_key_frames)
    if spacing == "even":
        stride = max(num_frames // num_key_frames, 1)
        return tuple(stride * k for k in steps if stride * k < num_frames)
    last_step = max(num_key_frames - 1, 1)
    return tuple(sorted({k * (num_frames - 1) // last_step for k in steps}))


def select_among(frames: Sequence[int], num_key_frames: int, spacing: KeyFrameSpacing) -> tuple[int, ...]:
    """Choose the key frames of a video whose detections are known in some frames only.

    Eq. 1 chooses among these frames. All of them are key frames if there are at most K.

    Args:
        frames: Frame indices with detections, at least one, in ascending order.
        num_key_frames: Maximum number of key frames, K, at least 1.
        spacing: "even" or "endpoints".

    Returns:
        Frame indices in ascending order, without duplicates.
    """
    return tuple(frames[position] for position in select_key_frames(len(frames), num_key_frames, spacing))
