"""GPUs, what drives them and how they are linked: as torch sees them, and as NVML, which asks the driver."""

from collections.abc import Iterator
from itertools import combinations
from typing import Any

from dist_alexnet.doctor.checks import Asked, Finding, in_words

# What two devices have in common, from the nearest on; NVML's numbers.
COMMON = {
    0: "one board",
    10: "one PCIe switch",
    20: "several PCIe switches",
    30: "one PCIe host bridge",
    40: "one NUMA node",
    50: "the system",
}
LINKS = 18  # NVLinks that a device may have


def devices(asked: Asked) -> Iterator[Finding]:
    """Versions, devices and links; where there is no GPU it says so, which is no trouble unless one was asked for."""
    import torch

    yield Finding(f"torch {torch.__version__}, built for {f'CUDA {torch.version.cuda}' if torch.version.cuda else 'the CPU'}")
    driver, handles = _driver()
    yield driver
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if handles and not count:
        wrong = (
            "reinstall torch for CUDA" if not torch.version.cuda else "install a newer driver, or an older torch; see CUDA_VISIBLE_DEVICES"
        )
        yield Finding("CUDA in torch", f"the driver has {len(handles)} device(s), but torch sees none; {wrong}")
    wanted = asked.config.launch
    if wanted.device == "cuda" and not count and not wanted.address:
        yield Finding("CUDA devices: 0", "--device cuda was asked for; leave it out, or type --device cpu")
    if count:
        yield _libraries(torch)
    for number in range(count):
        told = torch.cuda.get_device_properties(number)
        free, total = torch.cuda.mem_get_info(number)
        yield Finding(f"cuda:{number} {told.name}: {in_words(free)} free of {in_words(total)}", numbers={"free_bytes": free})
    if count > 1:
        yield from _links(handles, torch)
    if not count:
        yield Finding("no CUDA device is used: ranks are CPU processes over gloo")


def _libraries(torch: Any) -> Finding:
    nccl = ".".join(map(str, torch.cuda.nccl.version())) if torch.distributed.is_nccl_available() else "not in this torch"
    return Finding(f"NCCL {nccl}, cuDNN {torch.backends.cudnn.version()}")


def _driver() -> tuple[Finding, list[Any]]:
    """What NVML says, and its handles of all devices."""
    try:
        import pynvml

        pynvml.nvmlInit()
        version, cuda = pynvml.nvmlSystemGetDriverVersion(), pynvml.nvmlSystemGetCudaDriverVersion()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(number) for number in range(pynvml.nvmlDeviceGetCount())]
    except Exception as error:  # no library, no driver, no permission
        return Finding(f"NVIDIA driver: none ({str(error) or type(error).__name__})"), []
    return Finding(f"NVIDIA driver {version}, for CUDA up to {cuda // 1000}.{cuda % 1000 // 10}; {len(handles)} device(s)"), handles


def _links(handles: list[Any], torch: Any) -> Iterator[Finding]:
    """Of each pair: what lies between, and whether they reach each other's memory. Numbers are the driver's, all devices counted."""
    import pynvml

    buses = [pynvml.nvmlDeviceGetPciInfo(handle).busId for handle in handles]
    for first, second in combinations(range(len(handles)), 2):
        level = pynvml.nvmlDeviceGetTopologyCommonAncestor(handles[first], handles[second])
        nvlinks = _nvlinks(handles[first], buses[second])
        said = f"{nvlinks} NVLink(s)" if nvlinks else f"through {COMMON.get(level, 'unknown')}"
        peers = first < torch.cuda.device_count() > second and torch.cuda.can_device_access_peer(first, second)
        yield Finding(
            f"devices {first} and {second}: {said}{'' if peers else ', not into each other memory'}", numbers={"nvlinks": nvlinks}
        )


def _nvlinks(handle: Any, bus: Any) -> int:
    import pynvml

    found = 0
    for link in range(LINKS):
        try:
            if pynvml.nvmlDeviceGetNvLinkState(handle, link) and pynvml.nvmlDeviceGetNvLinkRemotePciInfo(handle, link).busId == bus:
                found += 1
        except pynvml.NVMLError:
            break
    return found
