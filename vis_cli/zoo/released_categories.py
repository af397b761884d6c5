"""The authors' models: their backbones, datasets, and categories in the order of labels.

Used by `released`, and by the command line, so it does without torch. See
docs/explanation/authors-implementation.md#fact-49.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from vis_cli.records.types import Category

ReleasedBackbone: TypeAlias = Literal["r50", "r101", "x101"]
ReleasedDataset: TypeAlias = Literal["ytvis2019", "ytvis2021", "davis-uvos"]


def _numbered(names: str) -> tuple[Category, ...]:
    return tuple(Category(number, name) for number, name in enumerate(names.split(), start=1))


YOUTUBE_VIS_2019 = _numbered(
    "person giant_panda lizard parrot skateboard sedan ape dog snake monkey hand rabbit duck cat cow fish train horse "
    "turtle bear motorbike giraffe leopard fox deer owl surfboard airplane truck zebra tiger elephant snowboard boat "
    "shark mouse frog eagle earless_seal tennis_racket"
)
YOUTUBE_VIS_2021 = _numbered(
    "airplane bear bird boat car cat cow deer dog duck earless_seal elephant fish flying_disc fox frog giant_panda "
    "giraffe horse leopard lizard monkey motorbike mouse parrot person rabbit shark skateboard snake snowboard "
    "squirrel surfboard tennis_racket tiger train truck turtle whale zebra"
)
DAVIS = _numbered("instance")
CATEGORIES: dict[ReleasedDataset, tuple[Category, ...]] = {
    "ytvis2019": YOUTUBE_VIS_2019,
    "ytvis2021": YOUTUBE_VIS_2021,
    "davis-uvos": DAVIS,
}
