"""The formats of `vis export`, each with its writer and its kinds of output.

Used by `commands.export`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from vis_cli.records.export_messages import report_matches
from vis_cli.records.exports import coco, cvat, datumaro, label_studio, labelme, mot, mots, tables, yolo_seg
from vis_cli.records.exports.clip import Clip, Exporter, Target
from vis_cli.records.exports.coco_video import write_coco_video
from vis_cli.records.result_matching import SplitSequences
from vis_cli.records.selection import Selection
from vis_cli.records.youtube_vis import YouTubeVis


@dataclass(frozen=True, slots=True)
class Format:
    """One format."""

    write: Exporter
    help: str  # receiver and contents, for the help page
    suffix: str | None = None  # extension of an output that is one file; None: never one file
    bundles: bool = False  # whether the output can be a folder or a zip
    per_video: bool = False  # whether one file contains one video
    images: bool = False  # whether a folder or a zip also contains the frames
    takes_split: bool = False

    @property
    def outputs(self) -> str:
        """Describe the valid names of an output."""
        names = [f"a name that ends in {self.suffix}"] if self.suffix else []
        return ", or ".join([*names, *(["a folder or a name that ends in .zip"] if self.bundles else [])])


def export_mots(clips: Iterable[Clip], target: Target) -> int:
    """Write `mots`. Only cars and pedestrians are exported."""
    split = target.split if isinstance(target.split, SplitSequences) else None
    report = mots.write_mots((clip.result for clip in clips), split, target.path, selection=Selection())
    report_matches(report, "MOTS", target.messages)
    return report.num_entries


def export_coco_video(clips: Iterable[Clip], target: Target) -> int:
    """Write `coco-video`."""
    split = target.split if isinstance(target.split, YouTubeVis) else None
    report = write_coco_video((clip.result for clip in clips), split, target.path, selection=Selection())
    report_matches(report, split.path if split else "the export", target.messages)
    return report.num_entries


FORMATS: dict[str, Format] = {
    "csv": Format(tables.write_csv, "tables of frames and of instances, for Excel and pandas", suffix=".csv"),
    "parquet": Format(tables.write_parquet, "the same tables as Apache Parquet", suffix=".parquet"),
    "cvat": Format(
        cvat.write_cvat,
        "CVAT for video 1.1: polygon tracks, or masks with --masks",
        suffix=cvat.SUFFIX,
        bundles=True,
        per_video=True,
    ),
    "label-studio": Format(
        label_studio.write_label_studio, "Label Studio: box tracks as predictions", suffix=label_studio.SUFFIX
    ),
    "labelme": Format(labelme.write_labelme, "LabelMe: polygons and images", bundles=True, images=True),
    "datumaro": Format(
        datumaro.write_datumaro,
        "Datumaro: masks, track ids and images",
        suffix=datumaro.SUFFIX,
        bundles=True,
        images=True,
    ),
    "coco": Format(coco.write_coco, "COCO: masks and images", suffix=coco.SUFFIX, bundles=True, images=True),
    "yolo-seg": Format(yolo_seg.write_yolo_seg, "Ultralytics YOLO: polygons and images", bundles=True, images=True),
    "coco-video": Format(
        export_coco_video, "one JSON file in the format of YouTube-VIS annotations", suffix=".json", takes_split=True
    ),
    "mot": Format(mot.write_mot, "MOTChallenge: boxes", suffix=mot.SUFFIX, bundles=True, per_video=True),
    "mots": Format(
        export_mots,
        "MOTS: masks of cars and pedestrians",
        suffix=mots.SUFFIX,
        bundles=True,
        per_video=True,
        takes_split=True,
    ),
}
