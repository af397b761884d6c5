"""Identity metrics: HOTA, IDF1, MOTA and identity switches, of one video and combined over videos and categories.

Used by `metrics.davis` and `metrics.youtube_vis`. The values are equal to the values of TrackEval.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from vis_cli.metrics.identity_matching import HOTA_THRESHOLDS, count_clear, count_identity_matches, sum_hota
from vis_cli.metrics.overlaps import FrameOverlaps


@dataclass(frozen=True, slots=True)
class IdentityScore:
    """Identity metrics of videos with at least one visible object, from 0 to 1."""

    id_switches: int
    hota: float  # mean over IoU 0.05:0.05:0.95 of the geometric mean of DetA and AssA
    det_a: float  # detection accuracy: matches / (matches + missed masks + false masks)
    ass_a: float  # association accuracy: mean over matches of the IoU of the two lifetimes
    loc_a: float  # mean IoU of the matches; 1 without matches
    idf1: float  # harmonic mean of IDP and IDR
    idp: float  # fraction of the predicted masks whose sequence is assigned to the matched object
    idr: float  # fraction of the masks of objects
    mota: float  # 1 - (missed masks + false masks + identity switches) / masks of objects; at most 1, can be negative


@dataclass(frozen=True, slots=True)
class IdentityCounts:
    """Sums over the frames of one or more videos. All metrics follow from them, and the sums of videos add up."""

    num_object_masks: int  # visible masks of all objects in all frames
    num_predicted_masks: int
    hota_matches: tuple[float, ...]  # by HOTA_THRESHOLDS, like the next two
    hota_association: tuple[float, ...]
    hota_localization: tuple[float, ...]
    identity_matches: int
    clear_matches: int
    id_switches: int

    @property
    def score(self) -> IdentityScore | None:
        """Return the metrics; None if no object is visible."""
        if self.num_object_masks == 0:
            return None
        matches, association, localization = map(
            np.array, (self.hota_matches, self.hota_association, self.hota_localization)
        )  # (A,) each
        det_a = matches / (self.num_object_masks + self.num_predicted_masks - matches)
        ass_a = association / np.maximum(matches, 1)
        loc_a = np.where(matches > 0, localization / np.maximum(matches, 1), 1.0)
        false_masks = self.num_predicted_masks - self.clear_matches
        return IdentityScore(
            id_switches=self.id_switches,
            hota=float(np.sqrt(det_a * ass_a).mean()),
            det_a=float(det_a.mean()),
            ass_a=float(ass_a.mean()),
            loc_a=float(loc_a.mean()),
            idf1=2 * self.identity_matches / (self.num_object_masks + self.num_predicted_masks),
            idp=self.identity_matches / max(self.num_predicted_masks, 1),
            idr=self.identity_matches / self.num_object_masks,
            mota=(self.clear_matches - false_masks - self.id_switches) / self.num_object_masks,
        )


def count_identities(overlaps: FrameOverlaps) -> IdentityCounts:
    """Match the sequences of one video with its objects, and count."""
    hota, clear = sum_hota(overlaps), count_clear(overlaps)
    return IdentityCounts(
        num_object_masks=int(overlaps.visible_objects.sum()),
        num_predicted_masks=int(overlaps.visible_predictions.sum()),
        hota_matches=tuple(hota.matches.tolist()),
        hota_association=tuple(hota.association.tolist()),
        hota_localization=tuple(hota.localization.tolist()),
        identity_matches=count_identity_matches(overlaps),
        clear_matches=clear.matches,
        id_switches=clear.switches,
    )


def add_counts(counts: Iterable[IdentityCounts]) -> IdentityCounts:
    """Add the counts of several videos."""
    nothing = (0.0,) * len(HOTA_THRESHOLDS)
    total = IdentityCounts(0, 0, nothing, nothing, nothing, 0, 0, 0)
    for item in counts:
        total = IdentityCounts(
            total.num_object_masks + item.num_object_masks,
            total.num_predicted_masks + item.num_predicted_masks,
            _add(total.hota_matches, item.hota_matches),
            _add(total.hota_association, item.hota_association),
            _add(total.hota_localization, item.hota_localization),
            total.identity_matches + item.identity_matches,
            total.clear_matches + item.clear_matches,
            total.id_switches + item.id_switches,
        )
    return total


def average_scores(scores: Iterable[IdentityScore | None]) -> IdentityScore | None:
    """Return the mean of each metric over the categories with visible objects, and the sum of the identity switches."""
    known = [score for score in scores if score is not None]
    if not known:
        return None
    rows = [(s.hota, s.det_a, s.ass_a, s.loc_a, s.idf1, s.idp, s.idr, s.mota) for s in known]
    means = np.array(rows, dtype=np.float64).mean(axis=0).tolist()
    return IdentityScore(sum(score.id_switches for score in known), *means)


def _add(a: tuple[float, ...], b: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(x + y for x, y in zip(a, b, strict=True))
