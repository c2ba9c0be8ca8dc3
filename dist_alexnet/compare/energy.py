"""What a device has used since it was switched on, where NVML says it."""

from contextlib import suppress

import torch


def joules(device: torch.device) -> float:
    """Of a CUDA device, from NVML's counter, which goes on in steps of some milliseconds; 0 where there is none."""
    if device.type == "cuda":
        with suppress(Exception):  # no library, no driver, or a device that does not count: a comparison does not need it
            import pynvml

            pynvml.nvmlInit()
            handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(device).uuid}")
            return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1000
    return 0.0
