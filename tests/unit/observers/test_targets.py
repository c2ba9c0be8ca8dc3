"""Where a run answers, how Prometheus finds it, and what is said where it cannot."""

import json
import os
import socket
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from dist_alexnet.config import UsageError
from dist_alexnet.observers.prometheus import Prometheus
from dist_alexnet.resolve import parse_options
from dist_alexnet.runs.directory import RunDirectory
from tests.unit.observers.hub import Hub, hub
from tests.unit.observers.records import FIRST, SECOND, started


def test_it_answers_while_the_run_goes_on_and_is_found_by_its_files(tmp_path: Path) -> None:
    file, url = tmp_path / ".prometheus" / "run.json", tmp_path / "run" / "metrics.url"
    with hub(tmp_path) as seen:
        assert seen.url.startswith("http://127.0.0.1:")
        assert url.read_text() == seen.url + "\n"
        address = seen.url.removeprefix("http://").removesuffix("/metrics")
        assert json.loads(file.read_text()) == [{"targets": [address], "labels": {"run": "run"}}]
        with urllib.request.urlopen(seen.url) as answer:
            assert b"dist_alexnet_restarts_total" in answer.read()
        seen.see(*SECOND)
    assert not url.exists()
    assert not file.exists()
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(seen.url)


def test_a_run_that_fails_stays_a_target_until_it_ends_well_or_its_folder_goes(tmp_path: Path) -> None:
    file = tmp_path / ".prometheus" / "run.json"
    with hub(tmp_path) as seen:
        seen.see(*FIRST)
    assert seen("run_state", state="failed") == 1
    assert file.exists()
    with hub(tmp_path) as seen:
        seen.see(*SECOND)
    assert not file.exists()
    with hub(tmp_path):
        pass
    assert not file.exists(), "no rank has started"
    with hub(tmp_path) as seen:
        seen.see(started())
    assert file.exists()
    (tmp_path / "run" / "metrics.jsonl").unlink(missing_ok=True)
    for path in sorted((tmp_path / "run").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (tmp_path / "run").rmdir()
    other = Hub(RunDirectory(tmp_path / "other"))
    assert not file.exists()
    other.observer.close()


def test_a_target_whose_port_another_run_has_got_is_none(tmp_path: Path) -> None:
    first = Hub(RunDirectory(tmp_path / "first"))
    port = int(first.url.split(":")[2].partition("/")[0])
    first.see(started())
    first.observer.close()
    assert (tmp_path / ".prometheus" / "first.json").exists()
    second = Hub(RunDirectory(tmp_path / "second"), port=port)
    assert [path.name for path in (tmp_path / ".prometheus").iterdir()] == ["second.json"]
    second.observer.close()


def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        told = rf"^cannot listen on 127.0.0.1, port {port}: Address already in use; type another --metrics-port, or 0 for a free one$"
        with pytest.raises(UsageError, match=told), hub(tmp_path, port=port):
            pass
    assert not (tmp_path / ".prometheus").exists()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"host": "no.such.host.invalid"}, "^--metrics-host 'no.such.host.invalid' is no name or address that this machine knows; type"),
        ({"host": "192.0.2.77"}, "^cannot listen on 192.0.2.77, port 0: Cannot assign requested address; type a --metrics-host of this"),
    ],
)
def test_an_address_that_is_not_ours_is_said(tmp_path: Path, options: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told), hub(tmp_path, **options):
        pass


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"port": 65536}, "observers.prometheus.port=65536: must be from 0 to 65,535"),
        ({"port": -1}, "observers.prometheus.port=-1: must be from 0 to 65,535"),
        ({"host": " "}, "observers.prometheus.host is empty; type an address of this machine"),
        ({"linger_s": float("nan")}, "observers.prometheus.linger_s=nan: must be from 0 to 600"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        parse_options("prometheus", Prometheus.Options, options, "observers.prometheus")


def test_it_listens_to_others_only_where_somebody_says_so(tmp_path: Path) -> None:
    with hub(tmp_path, host="0.0.0.0") as seen:
        assert socket.gethostname() in seen.url
        port = seen.url.rpartition(":")[2].removesuffix("/metrics")
        assert urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").status == 200


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    tmp_path.chmod(0o555)
    with pytest.raises(UsageError, match="^cannot write .*prometheus: Permission denied; leave --metrics-port out"), hub(tmp_path):
        pass
    tmp_path.chmod(0o755)


def test_something_else_under_the_name_of_its_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / ".prometheus").write_text("")
    with pytest.raises(UsageError, match="^cannot write .*prometheus: File exists; leave --metrics-port out"), hub(tmp_path):
        pass
