"""The 80 categories of COCO.

Used by `zoo.coco`, and by `detection_formats` for files that contain only category ids.
"""

from __future__ import annotations

from vis_cli.records.types import Category

UNUSED_IDS = frozenset({12, 26, 29, 30, 45, 66, 68, 69, 71, 83})  # of COCO's ids 1 to 90
NAMES = (
    "person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant, stop sign, "
    "parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe, backpack, umbrella, "
    "handbag, tie, suitcase, frisbee, skis, snowboard, sports ball, kite, baseball bat, baseball glove, skateboard, "
    "surfboard, tennis racket, bottle, wine glass, cup, fork, knife, spoon, bowl, banana, apple, sandwich, orange, "
    "broccoli, carrot, hot dog, pizza, donut, cake, chair, couch, potted plant, bed, dining table, toilet, tv, laptop, "
    "mouse, remote, keyboard, cell phone, microwave, oven, toaster, sink, refrigerator, book, clock, vase, scissors, "
    "teddy bear, hair drier, toothbrush"
)


def coco_categories() -> tuple[Category, ...]:
    """Return COCO's 80 categories with COCO's ids, which are also the rows of torchvision's class layers."""
    ids = (number for number in range(1, 91) if number not in UNUSED_IDS)
    return tuple(Category(number, name) for number, name in zip(ids, NAMES.split(", "), strict=True))
