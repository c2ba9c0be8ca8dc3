"""Through which network the ranks of a cluster talk. Across nodes it is tests/orchestration/test_nodes.py that tries it."""

import pytest

from cluster.interface import interface_of, variables
from dist_alexnet.config import UsageError


def test_the_interface_is_the_one_with_the_address_of_the_node(monkeypatch: pytest.MonkeyPatch) -> None:
    assert interface_of("127.0.0.1") == "lo"
    assert interface_of("240.0.0.1") is None
    assert interface_of("2001:db8::1") is None
    monkeypatch.delenv("GLOO_SOCKET_IFNAME", raising=False)
    monkeypatch.setenv("NCCL_SOCKET_IFNAME", "ib0")
    assert variables(None, "127.0.0.1") == {"GLOO_SOCKET_IFNAME": "lo"}, "what the node's environment says stands"
    assert variables("lo", "240.0.0.1") == {"GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo"}, "but what was typed comes first"
    assert variables(None, "240.0.0.1") == {}, "an address that is translated on its way here"


def test_one_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(UsageError, match=r"^launch.interface=ib7: node \S+ has no such network interface; type one of .*\blo\b"):
        variables("ib7", "127.0.0.1")
