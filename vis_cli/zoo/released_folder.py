"""Write the model folder of a checkpoint of the authors: weights, provenance and card. Used by `vis models import`."""

from __future__ import annotations

from pathlib import Path

import torch

from vis_cli.files.hashing import sha256_of
from vis_cli.zoo.released import Imported
from vis_cli.zoo.weights import save_card, save_model

# Results of the authors on the benchmark servers: docs/explanation/authors-implementation.md#fact-52
FIGURES = {
    "r50-ytvis2019": "AP 40.8 on YouTube-VIS 2019 val, 42.5 with category-aware reduction",
    "r101-ytvis2019": "AP 43.8 on YouTube-VIS 2019 val, 45.2 with category-aware reduction",
    "x101-ytvis2019": "AP 47.6 on YouTube-VIS 2019 val, 48.8 with category-aware reduction",
    "r50-ytvis2021": "AP 39.6 on YouTube-VIS 2021 val, 41.7 with category-aware reduction",
    "x101-ytvis2021": "AP 45.6 on YouTube-VIS 2021 val, 47.2 with category-aware reduction",
    "r101-davis-uvos": "J&F 68.1 on DAVIS-2017 val, unsupervised",
    "x101-davis-uvos": "J&F 70.6 on DAVIS-2017 val, unsupervised",
}
UNKNOWN = "The authors report no result for this backbone and dataset"


def write_released(folder: Path, imported: Imported, source: Path) -> None:
    """Write the folder with its weights in float32, like the checkpoint.

    Raises:
        VisError: the folder cannot be written.
    """
    name = imported.model.config.name
    digest = sha256_of(source)
    provenance = {
        "imported from": source.name,
        "its sha256": digest,
        "released as": name,
        "figures": FIGURES.get(name, UNKNOWN),
    }
    save_card(folder, _card(imported, source.name, digest))
    save_model(folder, imported.model, provenance, precision=torch.float32)


def _card(imported: Imported, file_name: str, digest: str) -> str:
    config = imported.model.config
    if config.num_classes == 1:
        command = "`--preset released-davis` gives the results of the authors' code."
    else:
        command = (
            "`--preset released-ytvis` gives the results of the authors' code. With category-aware reduction:\n"
            "`--preset released-ytvis --set reduction=category-aware --score-threshold 0.001`."
        )
    return f"""# {config.name}

Checkpoint of the authors of Propose-Reduce (ICCV 2021), imported from `{file_name}`.

SHA-256 of this file: `{digest}`. The input size is {config.long_side}x{config.short_side}, and the box convention
is legacy. The model contains {imported.num_mapped} tensors of the file. {imported.num_unused} tensors of an unused mask
head and {imported.num_counters} counters were skipped.

## Results

{FIGURES.get(config.name, UNKNOWN)}. The authors report these results. They were not measured with `vis`.
{command}

## Licence

The licence of the checkpoint applies. Ask its authors.
"""
