"""The model folder of a released checkpoint: weights, provenance and card; used by `vis models import`."""

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
UNKNOWN = "The authors give no figure for this backbone and data set"


def write_released(folder: Path, imported: Imported, source: Path) -> None:
    """Write the folder, its weights in float32 as they were released.

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
        command = "`--preset released-davis` infers as their code does."
    else:
        command = (
            "`--preset released-ytvis` infers as their code does;\nwith category-aware reduction: "
            "`--preset released-ytvis --reduction category-aware --sequence-score 0.001`."
        )
    return f"""# {config.name}

Released by the authors of Propose-Reduce (ICCV 2021), imported from `{file_name}`.

sha256 of that file: `{digest}`. It works at {config.long_side}x{config.short_side}, with the legacy box
conventions; of its tensors {imported.num_mapped} are used, {imported.num_unused} of a dead mask head and
{imported.num_counters} counters were left out.

## What it reaches

{FIGURES.get(config.name, UNKNOWN)}. These are the authors' own figures, not measured here.
{command}

## Licence

That of the checkpoint: ask its authors.
"""
