"""Write the average of the weights of models with the same config. CARD.md lists the averages of `lite`.

python models/lite/average.py runs/lite-detector runs/lite-head -o runs/lite-mean
python models/lite/average.py runs/lite-mean runs/lite-settle/checkpoint-000120.pt -o runs/lite-settled
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import torch
from torch import Tensor

from vis_cli.network.config import ModelConfig
from vis_cli.network.seq_mask_rcnn import SeqMaskRCNN
from vis_cli.zoo.weights import load_model, save_model

DETECTOR = ("detector.", "detector_fpn.")  # parts of a network that only the detector uses


def main() -> None:
    """Compute the average and write a model folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("first", help="name of a model, or a model folder")
    parser.add_argument(
        "others",
        nargs="+",
        help="more models, or checkpoints of runs (*.pt); a checkpoint counts with its averaged weights",
    )
    parser.add_argument("--detector", help="model whose detector, with its separate FPN, replaces the average")
    parser.add_argument("--finder", help="included detector that finds the boxes for `vis segment`, such as picodet-s")
    parser.add_argument("--origin", default="", help="training data, printed by `vis models info`")
    parser.add_argument("-o", "--output", type=Path, required=True, help="model folder to write")
    args = parser.parse_args()
    model = load_model(args.first).model
    model.config = dataclasses.replace(without_calibration(model.config), detector=args.finder)
    averaged = [model.state_dict(), *(read_weights(name, model) for name in args.others)]
    detector = None if args.detector is None else read_weights(args.detector, model)
    for name, weight in model.state_dict().items():
        if detector is not None and name.startswith(DETECTOR):
            weight.copy_(detector[name])
        elif weight.is_floating_point():
            weight.copy_(torch.stack([weights[name].double() for weights in averaged]).mean(dim=0))
    provenance = {"mean of": " and ".join([args.first, *args.others])}
    provenance |= {"detector": args.detector} if args.detector else {}
    save_model(args.output, model, provenance | ({"origin": args.origin} if args.origin else {}))


def read_weights(name: str, like: SeqMaskRCNN) -> dict[str, Tensor]:
    """Return the weights of a model, or the averaged weights of a checkpoint."""
    if name.endswith(".pt"):
        checkpoint = torch.load(name, weights_only=True)
        if checkpoint["model"].keys() != like.state_dict().keys():
            raise SystemExit(f"{name}: the network has other layers. Use the model folder of a finished run.")
        return checkpoint["model"] | checkpoint["average"]
    model = load_model(name).model
    if without_calibration(model.config) != without_calibration(like.config):
        raise SystemExit(f"{name}: the config differs from the first model. Use models with the same config.")
    return model.state_dict()


def without_calibration(config: ModelConfig) -> ModelConfig:
    """Return the config without the parts that describe one set of weights only."""
    return dataclasses.replace(config, calibration=None, detector=None)


if __name__ == "__main__":
    main()
