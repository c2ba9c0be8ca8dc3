"""A comparison whose ranks talk through a link of 100 Mbit/s: what it says of each strategy. By hand: it takes minutes."""

import json
import sys
from pathlib import Path

import pytest

from cluster.testing.network import Unavailable, network


@pytest.mark.slow
def test_it_is_the_link_that_limits_who_sends_most(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "dist_alexnet", "compare", "-c", "quickstart", "--strategies", "single,ddp,channel_split"]
    command += ["--gpus", "2", "-b", "64", "--rounds", "8", "--out", "compared", "--json"]
    try:
        with network(1) as (node,):
            node.slow("100mbit")
            done = node.run(*command, cwd=tmp_path, check=True)
    except Unavailable as missing:
        pytest.skip(str(missing))
    said = {result["strategy"]: result["limit"] for result in json.loads(done.stdout)["results"]}
    assert said["ddp"].endswith("of its step for 1.0 MB of gradients a rank, 34% of them of the fully connected layers")
    assert said["channel_split"].startswith("channel_split on 2 waits ")
    assert "the input of " in said["channel_split"]
    assert "computes" in said["single"]
