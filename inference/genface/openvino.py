"""OpenVINO as a plugin of ONNX Runtime (onnxruntime-ep-openvino): registered when asked for, on the CPU alone."""

from __future__ import annotations

import importlib
import importlib.util
import json
from functools import cache
from threading import Lock
from typing import Any

from genface.cores import usable_cores
from genface.errors import UserError

FULL_NAME = "OpenVINOExecutionProvider"
DISTRIBUTION = "onnxruntime-ep-openvino"

_PLUGIN = "onnxruntime_ep_openvino"
_REGISTERED_AS = "genface.openvino"
_TYPES = {"fp32": "f32", "bf16": "bf16"}
_LOCK = Lock()


class NotServedError(UserError):
    """The plugin is there, but this machine's processor is another maker's: nothing that could be mended."""


def is_installed() -> bool:
    """Whether the plugin is there, fit for this machine or not."""
    return importlib.util.find_spec(_PLUGIN) is not None


def cpu_device(runtime: Any) -> Any:
    """The plugin's CPU, an `OrtEpDevice` of the module onnxruntime, which is given so that it is imported but once.

    Raises UserError when the plugin is missing or does not fit the runtime, NotServedError when it does not serve this
    machine's processor.
    """
    if not hasattr(runtime, "register_execution_provider_library"):
        raise UserError(f"onnxruntime {runtime.__version__} has no plugins; OpenVINO's needs 1.23 or newer: update it")
    with _LOCK:
        found = _find(runtime)
        if found is None:
            _register(runtime)
            found = _find(runtime)
    if found is None:
        raise NotServedError(
            "the OpenVINO plugin offers no CPU here: it serves Intel's processors alone; take provider cpu"
        )
    return found


def can_compute_in(device: Any, precision: str) -> bool:
    """Whether OpenVINO computes in this precision on the device; asked for another, it would take fp32 in silence."""
    return precision.upper() in device.ep_metadata.get("OPTIMIZATION_CAPABILITIES", "").split()


def options_for(precision: str) -> dict[str, str]:
    """The plugin's options: arithmetic in `precision`, and one thread for each of several runs side by side."""
    cores = str(usable_cores())
    config = {
        # Left to itself, the plugin takes bf16 wherever the processor has it.
        "INFERENCE_PRECISION_HINT": _TYPES[precision],
        # As many streams as threads: one thread per run, so one order of sums. A stream of two threads gave pictures
        # that depend on the batch.
        "NUM_STREAMS": cores,
        "INFERENCE_NUM_THREADS": cores,
        # Two processes would pin their threads to the same cores.
        "ENABLE_CPU_PINNING": "NO",
    }
    return {"load_config": json.dumps({"CPU": config})}


def _find(runtime: Any) -> Any:
    """Not the plugin's other ways to the same CPU (AUTO), which choose options themselves."""
    return next(
        (
            device
            for device in runtime.get_ep_devices()
            if device.ep_name == FULL_NAME and device.ep_metadata.get("ov_device") == "CPU"
        ),
        None,
    )


@cache
def _register(runtime: Any) -> None:
    """Once per process: ONNX Runtime refuses a second time."""
    try:
        plugin: Any = importlib.import_module(_PLUGIN)
        runtime.register_execution_provider_library(_REGISTERED_AS, plugin.get_library_path())
    except ImportError as error:
        raise UserError(
            f"the OpenVINO plugin cannot be imported ({error}); it comes with the extra openvino"
            f" ({DISTRIBUTION}, beside onnxruntime)"
        ) from error
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"the OpenVINO plugin does not load ({reason}); install it again") from error
