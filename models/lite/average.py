"""Writes the mean of the weights of two model folders of one config: how the last step of `lite` was made (CARD.md).

python models/lite/average.py runs/lite-detector runs/lite-head -o runs/lite-mean
"""

from __future__ import annotations

import argparse
from pathlib import Path

from vis_cli.network.weights import load_model, save_model


def main() -> None:
    """Average, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs=2, help="a name or a model folder, twice")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the folder to write")
    args = parser.parse_args()
    first, second = (load_model(folder).model for folder in args.folders)
    if first.config != second.config:
        raise SystemExit("the two are of different configs")
    others = second.state_dict()
    mean = {
        name: (value + others[name]) / 2 if value.is_floating_point() else value
        for name, value in first.state_dict().items()
    }
    first.load_state_dict(mean)
    save_model(args.output, first, {"mean of": " and ".join(args.folders)})


if __name__ == "__main__":
    main()
