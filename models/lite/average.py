"""Writes the mean of the weights of two models of one config: how stages of `lite` were joined (CARD.md).

python models/lite/average.py runs/lite-detector runs/lite-head -o runs/lite-mean
python models/lite/average.py runs/lite-mean runs/lite-settle/checkpoint-000120.pt -o models/lite
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor

from vis_cli.network.weights import load_model, save_model


def main() -> None:
    """Average, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("first", help="a name or a model folder")
    parser.add_argument("second", help="likewise, or a checkpoint of a run from `first`, whose averaged weights count")
    parser.add_argument("--origin", default="", help="what the model was trained on, for `vis models info`")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the folder to write")
    args = parser.parse_args()
    first = load_model(args.first).model
    if args.second.endswith(".pt"):
        checkpoint = torch.load(args.second, weights_only=True)
        others: dict[str, Tensor] = checkpoint["model"] | checkpoint["average"]
    else:
        second = load_model(args.second).model
        if first.config != second.config:
            raise SystemExit("the two are of different configs")
        others = second.state_dict()
    mean = {
        name: (value + others[name]) / 2 if value.is_floating_point() else value
        for name, value in first.state_dict().items()
    }
    first.load_state_dict(mean)
    provenance = {"mean of": f"{args.first} and {args.second}"} | ({"origin": args.origin} if args.origin else {})
    save_model(args.output, first, provenance)


if __name__ == "__main__":
    main()
