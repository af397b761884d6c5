"""Cases of detectors in ONNX files."""

from __future__ import annotations

import sys

from tests.robustness.case import Workshop
from tests.robustness.graphs import mutate_onnx
from tests.robustness.octets import mutate_bytes
from tests.robustness.paths import swap_type
from tests.robustness.trees import dump_toml, mutate_tree

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SWAPPED = 0.1


def onnx_file(shop: Workshop) -> list[str]:
    """Damage an ONNX file, its external data or its TOML file, and describe it."""
    folder = shop.take("onnx")
    path = shop.rng.choice(sorted(folder.glob("*.onnx")))
    damaged = shop.rng.choice((path, path, path, path.with_suffix(".toml"), folder / "far.data"))
    if shop.often(SWAPPED):
        swap_type(shop.rng, damaged)
    elif damaged.suffix == ".onnx" and shop.often(0.7):
        shop.change(damaged, mutate_onnx)
    elif damaged.suffix == ".toml" and shop.often(0.7):
        tree = mutate_tree(shop.rng, tomllib.loads(damaged.read_text()))
        damaged.write_bytes(dump_toml(tree if isinstance(tree, dict) else {"mean": tree}))
    else:
        shop.change(damaged, mutate_bytes)
    return ["models", "info", shop.name(path)]
