"""Which network interface of a node has an address, so that ranks talk where the cluster does. Linux; elsewhere nothing is found."""

import array
import fcntl
import os
import socket
import struct
from contextlib import suppress
from ipaddress import IPv4Address, ip_address
from pathlib import Path

from dist_alexnet.config import UsageError
from dist_alexnet.launch.loopback import BACKENDS

LIST_ADDRESSES = 0x8912  # SIOCGIFCONF of linux/sockios.h
ENTRY_BYTES, NAME_BYTES, ADDRESS_AT = 40, 16, 20  # of its answer: struct ifreq with 64-bit pointers
MOST = 256  # addresses


def variables(wanted: str | None, address: str) -> dict[str, str]:
    """Of a rank on a node of a cluster: what tells gloo and NCCL their interface. What the node's environment says stands, unless typed.

    By itself gloo takes the address that the node's name stands for, which may be its loopback (Debian's 127.0.1.1) or another network.

    Args:
        wanted: launch.interface; null: the one with this address.
        address: by which the cluster reaches the node.

    Raises:
        UsageError: there is no such interface.
    """
    there = [name for _, name in socket.if_nameindex()]
    if wanted and wanted not in there:
        raise UsageError(
            f"launch.interface={wanted}: node {socket.gethostname()} has no such network interface; type one of {', '.join(there)}"
        )
    name = wanted or interface_of(address)
    return {backend: name for backend in BACKENDS if name and (wanted or backend not in os.environ)}


def interface_of(address: str) -> str | None:
    """The name of the interface that has an address; None if none has."""
    wanted = ip_address(address)
    with suppress(OSError):
        if isinstance(wanted, IPv4Address):
            return next((name for name, packed in _addresses() if packed == wanted.packed), None)
        for line in Path("/proc/net/if_inet6").read_text().splitlines():
            if bytes.fromhex(line.split()[0]) == wanted.packed:
                return line.split()[-1]
    return None


def _addresses() -> list[tuple[str, bytes]]:
    """Interfaces and their IPv4 addresses; one with several is there for each."""
    answer = array.array("B", bytes(MOST * ENTRY_BYTES))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("iP", len(answer), answer.buffer_info()[0])
        length = struct.unpack("iP", fcntl.ioctl(any_socket, LIST_ADDRESSES, request))[0]
    entries = (answer[start : start + ENTRY_BYTES].tobytes() for start in range(0, length, ENTRY_BYTES))
    # An alias is called eth0:1, and is the interface eth0.
    return [(_text(entry[:NAME_BYTES]).partition(":")[0], entry[ADDRESS_AT : ADDRESS_AT + 4]) for entry in entries]


def _text(zero_ended: bytes) -> str:
    return zero_ended.partition(b"\0")[0].decode(errors="surrogateescape")
