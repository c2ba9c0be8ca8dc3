"""Ranks of one machine talk over its loopback interface alone: by themselves torch and its backends listen to the whole network."""

import os
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

LOOPBACK = "127.0.0.1"
NAMES = ("lo", "lo0")  # of the interface, on Linux and macOS
BACKENDS = ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME")  # what tells each backend its interface


def open_store(listener: socket.socket, host: str = LOOPBACK) -> "TCPStore":
    """The store where ranks meet, on a socket that listens; `host`: where it is reached."""
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

    return TCPStore(
        host,
        listener.getsockname()[1],
        is_master=True,
        wait_for_workers=False,
        master_listen_fd=listener.detach(),  # else it would listen on all addresses
    )


def variables() -> dict[str, str]:
    """Of ranks that all run here, besides torchrun's; what the user has set stands."""
    name = next((name for _, name in socket.if_nameindex() if name in NAMES), None)
    interfaces = {backend: name for backend in BACKENDS if name and backend not in os.environ}
    return {"TORCHELASTIC_USE_AGENT_STORE": "True", **interfaces}  # the store is there, and no rank opens another
