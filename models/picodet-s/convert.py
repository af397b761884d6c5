"""Convert the published weights of PicoDet-S, in the format of ncnn, to the weights file of this folder.

python models/picodet-s/convert.py picodet-s-416.param picodet-s-416.bin -o models/picodet-s/detector.safetensors
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from torch import nn

from vis_cli.network.picodet import PicoDet
from vis_cli.zoo.weights_file import write_tensors

FLOAT32_TAG = 0  # ncnn writes the number format in front of the weights of a layer


def main() -> None:
    """Read both files and write the weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("param", type=Path, help="layers in text form")
    parser.add_argument("bin", type=Path, help="weights of the layers")
    parser.add_argument("--calibration", type=float, nargs=2, metavar=("SLOPE", "OFFSET"), help="of the scores")
    parser.add_argument("-o", "--output", type=Path, required=True, help="safetensors file to write")
    args = parser.parse_args()
    model = PicoDet()
    fill(model, sizes(args.param), np.fromfile(args.bin, dtype="<f4"))
    state = {name: value.contiguous() for name, value in model.state_dict().items()}
    origin = "PicoDet-S 416, PaddleDetection, trained on COCO train2017, Apache-2.0"
    write_tensors(args.output, state, {"origin": origin, "calibration": json.dumps(args.calibration)})


def sizes(param: Path) -> list[tuple[int, int]]:
    """Return the number of weights and of biases of each convolution."""
    found = []
    for line in param.read_text(encoding="ascii").splitlines():
        kind, *fields = line.split()
        if kind.startswith("Convolution"):
            values = dict(field.split("=") for field in fields if "=" in field)
            found.append((int(values["6"]), int(values["0"])))
    return found


def fill(model: PicoDet, counts: list[tuple[int, int]], values: np.ndarray) -> None:
    """Copy the values into the convolutions. The layers and the values have the same order."""
    convs = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    place = 0
    for conv, (num_weights, num_biases) in zip(convs, counts, strict=True):
        if values[place].view("<u4") != FLOAT32_TAG:
            raise SystemExit("the weights are not float32")
        weights, place = values[place + 1 : place + 1 + num_weights], place + 1 + num_weights
        biases, place = values[place : place + num_biases], place + num_biases
        conv.weight.data.copy_(torch.from_numpy(weights.copy()).view_as(conv.weight))
        conv.bias.data.copy_(torch.from_numpy(biases.copy()))
    if place != len(values):
        raise SystemExit(f"{len(values) - place} values are left over")


if __name__ == "__main__":
    main()
