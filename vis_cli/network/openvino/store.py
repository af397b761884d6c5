"""Converted models in the cache folder of the user. A model that cannot be stored or read is converted again."""

from __future__ import annotations

import hashlib
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from vis_cli.errors import VisError
from vis_cli.files.atomic import atomic_path
from vis_cli.files.cache_folder import cache_folder
from vis_cli.files.limits import MAX_PARAMETERS
from vis_cli.files.reading import read_bytes
from vis_cli.messages import Messages
from vis_cli.network.openvino.runtime import load_package

DIGEST_BYTES, SIZE_BYTES = 32, 8
MAX_BYTES = 8 * MAX_PARAMETERS  # of a stored model
MAX_FILES = 24  # stored models; the ones that were used last stay
SUFFIX = ".model"


class ModelStore:
    """Converted models by name. Each file holds a checksum, the size of the graph, the graph and the weights."""

    def __init__(self, folder: Path | None, messages: Messages) -> None:
        """Store into a folder that may not exist. None: nothing is stored."""
        self._folder = folder
        self._messages = messages

    def load(self, name: str) -> Any | None:
        """Return a stored model. None: it is missing or damaged."""
        if self._folder is None:
            return None
        path = self._folder / f"{name}{SUFFIX}"
        try:
            model = _unpack(read_bytes(path, limit=MAX_BYTES))
        except (VisError, RuntimeError):  # RuntimeError: OpenVINO cannot read the graph
            return None
        with suppress(OSError):
            os.utime(path)  # for `_remove_oldest`
        return model

    def add(self, name: str, model: Any) -> Any:
        """Store a model, and return it as `load` will return it, which can differ by rounding.

        If this fails, warn and return the model itself: the next run converts it again.
        """
        if self._folder is None:
            return model
        try:
            data = _pack(model)
            with atomic_path(self._folder / f"{name}{SUFFIX}") as path:
                path.write_bytes(data)
        except (VisError, OSError) as error:
            self._messages.warn(f"{error} The converted network is not stored, so the next run converts it again.")
            return model
        _remove_oldest(self._folder)
        return _unpack(data)


def default_store(messages: Messages) -> ModelStore:
    """Return the store in the cache folder of the user."""
    folder = cache_folder()
    return ModelStore(None if folder is None else folder / "openvino", messages)


def name_of(network: nn.Module, *versions: str) -> str:
    """Return a name that changes with the weights, with the code of the network and with the versions."""
    digest = hashlib.sha256(" ".join([load_package("openvino").__version__, *versions]).encode())
    package = Path(__file__).parents[1]
    for path in sorted([*package.glob("*.py"), *Path(__file__).parent.glob("*.py")]):
        digest.update(path.read_bytes())
    for key, value in network.state_dict().items():
        digest.update(f"{key} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().numpy().tobytes())
    return digest.hexdigest()


def _remove_oldest(folder: Path) -> None:
    with suppress(OSError):  # another process removes files, too
        for path in sorted(folder.glob(f"*{SUFFIX}"), key=lambda path: path.stat().st_mtime)[:-MAX_FILES]:
            path.unlink(missing_ok=True)


def _pack(model: Any) -> bytes:
    with tempfile.TemporaryDirectory() as folder:  # OpenVINO writes files only
        graph, weights = Path(folder, "graph.xml"), Path(folder, "graph.bin")
        load_package("openvino").serialize(model, graph, weights)
        content = graph.stat().st_size.to_bytes(SIZE_BYTES, "little") + graph.read_bytes() + weights.read_bytes()
    return hashlib.sha256(content).digest() + content


def _unpack(data: bytes) -> Any:
    """Return the model of `_pack`.

    Raises:
        VisError: The data are damaged.
    """
    content = memoryview(data)[DIGEST_BYTES:]
    if hashlib.sha256(content).digest() != data[:DIGEST_BYTES]:
        raise VisError("the checksum is wrong")
    end = SIZE_BYTES + int.from_bytes(content[:SIZE_BYTES], "little")
    openvino = load_package("openvino")
    weights = openvino.Tensor(np.frombuffer(content[end:], np.uint8))  # a copy, which the model keeps
    return openvino.Core().read_model(bytes(content[SIZE_BYTES:end]), weights)
