"""Choice of the library that runs the static parts of the network: torch or OpenVINO; used by `segmenter`."""

from __future__ import annotations

import torch

from vis_cli.engine.calibration_images import calibration_images
from vis_cli.engine.device import choose_precision
from vis_cli.errors import VisError
from vis_cli.messages import Messages
from vis_cli.network.openvino.options import OpenVinoOptions
from vis_cli.network.openvino.runtime import version_of
from vis_cli.network.precision import has_native_bfloat16
from vis_cli.settings import INT8, RunSettings


def choose_backend(run: RunSettings, device: torch.device, messages: Messages) -> OpenVinoOptions | None:
    """Return the options of OpenVINO, or None for torch.

    `auto` selects OpenVINO if it is installed and supports the device and the precision.

    Raises:
        VisError: OpenVINO is necessary, but it is not installed or does not support the device or the precision.
    """
    if run.backend == "torch":
        if run.precision == INT8:
            raise VisError("is int8, which needs OpenVINO", field="precision", hint="Omit backend=torch.")
        return None
    try:
        _require_support(run, device)
        version_of("openvino")
    except VisError:
        if run.backend == "openvino" or run.precision == INT8:
            raise
        return None
    calibration = calibration_images if run.precision == INT8 else None
    return OpenVinoOptions(choose_precision(run.precision, device), calibration, messages)


def _require_support(run: RunSettings, device: torch.device) -> None:
    """Check that OpenVINO supports the device and the precision.

    Raises:
        VisError: It does not.
    """
    if device.type != "cpu":
        setting = f"precision={INT8}" if run.precision == INT8 else "backend=openvino"
        problem = f"cannot run the network with OpenVINO on the device {device}"
        raise VisError(problem, hint=f"Use --device cpu, or omit {setting}.")
    if run.precision == "float16" or (run.precision == "bfloat16" and not has_native_bfloat16(device)):
        problem = f"cannot run the network with OpenVINO in {run.precision} on this CPU"
        raise VisError(problem, hint="Use --precision auto or --set backend=torch.")
