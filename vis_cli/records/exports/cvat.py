"""`cvat`: one XML file per video in the format "CVAT for video 1.1".

Sources: https://docs.cvat.ai/docs/other/xml_format, and `load_anno` in cvat/apps/dataset_manager/formats/cvat.py: CVAT
reads the key frames of a track, and turns a track of masks into single masks. Each object therefore is a track of
polygons, or, with `as_masks`, one track per mask, as CVAT itself exports masks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from xml.sax.saxutils import escape, quoteattr

import numpy as np
from pycocotools import mask as coco_mask

from vis_cli.records.categories import category_names
from vis_cli.records.exports.clip import Clip, Target, write_files
from vis_cli.records.exports.crops import iter_crops
from vis_cli.records.exports.outlines import Plane, joined, plane_polygons
from vis_cli.records.rle import Rle, as_rle
from vis_cli.records.types import InstanceSequence, VideoInfo

SUFFIX = ".xml"
SCALE = 100  # CVAT stores coordinates with two digits
MAX_MEASURED = 1000  # polygons whose IoU is measured, evenly spaced over an instance's frames


def write_cvat(clips: Iterable[Clip], target: Target) -> int:
    """Write all clips, and report the mean IoU of the polygons with the masks."""
    num_instances, ious = 0, []
    with write_files(target.path, SUFFIX) as add:
        for clip in clips:
            parts = [*_head(clip)]
            num_tracks = 0
            step = max(1, len(clip.instances) * len(clip.frames) // MAX_MEASURED)
            for instance in clip.instances:
                if target.as_masks:
                    tracks = list(_mask_tracks(clip, instance))
                else:
                    polygons = {
                        i: joined(found) for i, found in plane_polygons(instance.segmentations, target.tolerance)
                    }
                    ious += _ious(instance.segmentations, polygons, step)
                    texts = _point_texts(polygons, clip.result.video)
                    tracks = [shapes] if (shapes := "".join(_shapes(clip, texts))) else []
                label = _attribute(clip.category_of(instance))
                for track in tracks:
                    parts.append(f'<track id="{num_tracks}" label={label} source="auto">\n{track}</track>\n')
                    num_tracks += 1
            add(f"{clip.name}{SUFFIX}", "".join([*parts, "</annotations>\n"]).encode())
            num_instances += len(clip.instances)
    if ious:
        mean, lowest = np.mean(ious), np.min(ious)
        target.messages.note(f"IoU of {len(ious)} polygons with their masks: mean {mean:.3f}, lowest {lowest:.3f}")
    return num_instances


def _head(clip: Clip) -> Iterator[str]:
    video = clip.result.video
    names = category_names(clip.result.categories)
    used = dict.fromkeys(names[item.category_id] for item in clip.instances)
    labels = dict.fromkeys(_valid(name) for name in (*(item.name for item in clip.result.categories), *used))
    yield '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n<meta><task>\n'
    yield f"<name>{_element(video.name)}</name>\n<size>{_task_size(clip)}</size>\n<mode>interpolation</mode>\n"
    yield "<labels>\n"
    yield from (f"<label><name>{_element(label)}</name><attributes></attributes></label>\n" for label in labels)
    yield f"</labels>\n<original_size><width>{video.width}</width><height>{video.height}</height></original_size>\n"
    yield "</task></meta>\n"


def _task_size(clip: Clip) -> int:
    """Return the number of frames of the CVAT task, as far as it is known: the numbers of frames begin with 0."""
    part = clip.result.video.part
    return clip.result.video.num_frames if part is None else part.end


def _frame_after(clip: Clip) -> int | None:
    """Return the number of the first frame after a part. CVAT would continue the last shape of a track there."""
    part = clip.result.video.part
    return None if part is None or part.ends_with_video else part.end


def _point_texts(polygons: dict[int, Plane], video: VideoInfo) -> dict[int, str]:
    """Return the points of each polygon as text, inside the image, 4 times as fast as by formatting each number."""
    if not polygons:
        return {}
    sides = (video.width, video.height)
    numbers = (np.concatenate(list(polygons.values())).clip(0, sides) * SCALE).round().astype(np.intp)
    wholes = [str(number) for number in range(max(sides) + 1)]
    fractions = [f".{number:02d}{end}" for end in ",;" for number in range(SCALE)]  # after x and after y
    pieces = np.stack([numbers // SCALE, numbers % SCALE + [len(wholes), len(wholes) + SCALE]], axis=2)
    texts = list(map([*wholes, *fractions].__getitem__, pieces.ravel().tolist()))
    ends = (4 * np.cumsum([len(polygon) for polygon in polygons.values()])).tolist()
    parts = ("".join(texts[start:end])[:-1] for start, end in pairwise([0, *ends]))
    return dict(zip(polygons, parts, strict=True))


def _shapes(clip: Clip, polygons: dict[int, str]) -> Iterator[str]:
    """Yield the polygons of a track. The first frame without the object repeats the polygon with `outside`."""
    points = ""
    for position, frame in enumerate(clip.frames):
        if position in polygons:
            points = polygons[position]
            yield f'<polygon frame="{frame}" keyframe="1" outside="0" occluded="0" points="{points}" z_order="0"/>\n'
        elif points:
            yield f'<polygon frame="{frame}" keyframe="1" outside="1" occluded="0" points="{points}" z_order="0"/>\n'
            points = ""
    after = _frame_after(clip)
    if points and after is not None:
        yield f'<polygon frame="{after}" keyframe="1" outside="1" occluded="0" points="{points}" z_order="0"/>\n'


def _mask_tracks(clip: Clip, instance: InstanceSequence) -> Iterator[str]:
    """Yield one track per mask: its runs in rows inside its box, background first, and its end in the next frame."""
    for crop in iter_crops(instance.segmentations):
        height, width = crop.mask.shape
        flat = np.concatenate([[0], crop.mask.ravel(), [2]])
        starts = np.flatnonzero(np.diff(flat))
        runs = ", ".join(map(str, np.diff(starts, prepend=0).tolist()))
        box = f'rle="{runs}" left="{crop.x}" top="{crop.y}" width="{width}" height="{height}" z_order="0"'
        frame = clip.frames[crop.position]
        shapes = [f'<mask frame="{frame}" keyframe="1" outside="0" occluded="0" {box}/>\n']
        if crop.position + 1 < len(clip.frames) or _frame_after(clip) is not None:
            shapes.append(f'<mask frame="{frame + 1}" keyframe="1" outside="1" occluded="0" {box}/>\n')
        yield "".join(shapes)


def _ious(masks: Sequence[Rle | None], polygons: dict[int, Plane], step: int) -> list[float]:
    """Return the IoU of every `step`-th polygon with its mask, as pycocotools fills polygons."""
    ious = []
    for position, polygon in list(polygons.items())[::step]:
        mask = masks[position]
        if mask is not None:
            height, width = mask["size"]
            filled = as_rle(coco_mask.merge(coco_mask.frPyObjects([polygon.ravel().tolist()], height, width)))
            ious.append(float(coco_mask.iou([mask], [filled], [0])[0, 0]))
    return ious


def _valid(text: str) -> str:
    """Replace the characters that XML 1.0 cannot contain: control characters and lone surrogates."""
    return "".join(character if _is_valid(ord(character)) else "\N{REPLACEMENT CHARACTER}" for character in text)


def _is_valid(code: int) -> bool:
    return code in (0x9, 0xA, 0xD) or 0x20 <= code < 0xD800 or 0xE000 <= code < 0xFFFE or code > 0xFFFF


def _element(text: str) -> str:
    """Return the text of an element. Parsers read a carriage return as a line feed, so it is escaped."""
    return escape(_valid(text), {"\r": "&#13;"})


def _attribute(text: str) -> str:
    return quoteattr(_valid(text))
