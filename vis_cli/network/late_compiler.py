"""Import of torchvision and timm without the compiler of PyTorch, which takes a third of the start of `vis segment`.

Used by `vis_cli.network`, before torchvision and timm are imported. Two of their modules import `torch._dynamo`, each
for one function that inference does not call. A placeholder replaces it while these two modules are imported.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import TypeVar

COMPILER = "torch._dynamo"
# torchvision 0.29 imports torch._dynamo.utils.is_compile_supported, and timm 1.0 calls torch.compiler.disable.
MODULES = ("torchvision.ops.roi_align", "timm.models.naflexvit")

Function = TypeVar("Function", bound=Callable[..., object])


def import_compiler_late() -> None:
    """Let later imports of torchvision and timm import no compiler. A second call changes nothing."""
    if not any(isinstance(finder, LateCompilerFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, LateCompilerFinder())


class LateCompilerFinder(MetaPathFinder):
    """Finder of `MODULES`, which it imports with a `LateCompilerLoader`."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return one of `MODULES`, None for all other modules."""
        if fullname not in MODULES or COMPILER in sys.modules:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = LateCompilerLoader(spec.loader)
        return spec


class LateCompilerLoader(Loader):
    """Loader that runs a module while a placeholder replaces the compiler."""

    def __init__(self, loader: Loader) -> None:
        """Store the usual loader."""
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Create the module as usual."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Run the module. If it needs more than the placeholder, run it again with the compiler."""
        try:
            with _placeholder():
                self._loader.exec_module(module)
        except (ImportError, AttributeError):
            self._loader.exec_module(module)


@contextmanager
def _placeholder() -> Iterator[None]:
    """Replace the compiler in the body. All later imports get the compiler itself."""
    compiler, utils = ModuleType(COMPILER), ModuleType(f"{COMPILER}.utils")
    compiler.__dict__["disable"] = _disable
    utils.__dict__["is_compile_supported"] = _is_compile_supported
    modules = {module.__name__: module for module in (compiler, utils)}
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name in modules:
            del sys.modules[name]


def _disable(function: Function, *_: object, **__: object) -> Function:
    """Return the function. It differs for the compiler only."""
    return function


def _is_compile_supported(device_type: str) -> bool:
    """Return whether PyTorch can compile for a device."""
    from torch._dynamo.utils import is_compile_supported

    return bool(is_compile_supported(device_type))
