"""The compiler of PyTorch is imported only when it is used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_networks_are_imported_and_loaded_without_the_compiler() -> None:
    code = (
        "import sys, vis_cli.engine.segmenter, vis_cli.zoo.composition\n"
        "vis_cli.load_model('lite')\n"
        "assert 'timm' in sys.modules and not {'torch._dynamo', 'torch._dynamo.utils', 'sympy'} & set(sys.modules)\n"
        "from torchvision.ops import roi_align as _\n"
        "roi_align = sys.modules['torchvision.ops.roi_align']\n"
        "assert roi_align.is_compile_supported('cpu')\n"
        "import torch\n"
        "assert torch._dynamo.utils.is_compile_supported is not roi_align.is_compile_supported\n"
        "assert torch.compiler.disable(len)([1]) == 1\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_module_that_needs_more_of_the_compiler_gets_it(tmp_path: Path) -> None:
    """As in a later version of a library."""
    code = (
        "import sys\n"
        f"sys.path.insert(0, {str(tmp_path)!r})\n"
        "from vis_cli.network import late_compiler\n"
        "late_compiler.MODULES = ('needs_more',)\n"
        "import needs_more\n"
        "assert needs_more.num_runs == [1, 2] and needs_more.reset.__module__ == 'torch._dynamo'\n"
    )
    (tmp_path / "needs_more.py").write_text(
        "import torch\nnum_runs = [*globals().get('num_runs', []), len(globals().get('num_runs', [])) + 1]\n"
        "from torch._dynamo import reset\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
