"""Names of torchvision's detectors and facts about them, without importing torchvision.

Used by `torchvision_detector` and `vis models`. A test compares these constants with torchvision's.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vis_cli.errors import VisError
from vis_cli.hints import nearest
from vis_cli.zoo.coco import hub_file

TORCHVISION_PREFIX = "torchvision:"
COCO_V2_NAME = "coco-r50-v2"
LICENCE = "BSD-3-Clause, as torchvision; trained on COCO train2017"


@dataclass(frozen=True, slots=True)
class TorchvisionFacts:
    """A detector of torchvision with weights for COCO's categories."""

    name: str  # on the command line and in results
    function: str  # name of the model in torchvision
    url: str  # of the weights
    num_parameters: int
    mebibytes: float  # size of the weights file
    box_ap: float  # on COCO val2017, from 0 to 100
    mask_ap: float | None = None  # None: it detects only boxes

    @property
    def file(self) -> Path:
        """Return where torchvision caches the weights."""
        return hub_file(self.url)


TORCHVISION_DETECTORS = (
    TorchvisionFacts(
        COCO_V2_NAME,
        "maskrcnn_resnet50_fpn_v2",
        "https://download.pytorch.org/models/maskrcnn_resnet50_fpn_v2_coco-73cbd019.pth",
        num_parameters=46_359_409,
        mebibytes=177.2,
        box_ap=47.4,
        mask_ap=41.8,
    ),
    TorchvisionFacts(
        "torchvision:retinanet_resnet50_fpn_v2",
        "retinanet_resnet50_fpn_v2",
        "https://download.pytorch.org/models/retinanet_resnet50_fpn_v2_coco-5905b1c5.pth",
        num_parameters=38_198_935,
        mebibytes=146.0,
        box_ap=41.5,
    ),
    TorchvisionFacts(
        "torchvision:fcos_resnet50_fpn",
        "fcos_resnet50_fpn",
        "https://download.pytorch.org/models/fcos_resnet50_fpn_coco-99b0c9b7.pth",
        num_parameters=32_269_600,
        mebibytes=123.6,
        box_ap=39.2,
    ),
    TorchvisionFacts(
        "torchvision:fasterrcnn_mobilenet_v3_large_fpn",
        "fasterrcnn_mobilenet_v3_large_fpn",
        "https://download.pytorch.org/models/fasterrcnn_mobilenet_v3_large_fpn-fb6a3cc7.pth",
        num_parameters=19_386_354,
        mebibytes=74.2,
        box_ap=32.8,
    ),
    TorchvisionFacts(
        "torchvision:ssdlite320_mobilenet_v3_large",
        "ssdlite320_mobilenet_v3_large",
        "https://download.pytorch.org/models/ssdlite320_mobilenet_v3_large_coco-a79551df.pth",
        num_parameters=3_440_060,
        mebibytes=13.4,
        box_ap=21.3,
    ),
)


def is_torchvision_name(name: str) -> bool:
    """Return if a name selects one of these detectors. The rest of the name can be unknown."""
    return name == COCO_V2_NAME or name.startswith(TORCHVISION_PREFIX)


def torchvision_facts(name: str) -> TorchvisionFacts:
    """Return the facts about a detector.

    Raises:
        VisError: No detector has this name. The message lists all names and suggests a similar name.
    """
    known = {facts.name: facts for facts in TORCHVISION_DETECTORS}
    if name in known:
        return known[name]
    near = nearest(name, known)
    suggestion = f"Did you mean {near}? " if near else ""
    raise VisError(f"no detector is named {name}", hint=f"{suggestion}Use one of: {', '.join(known)}.")
