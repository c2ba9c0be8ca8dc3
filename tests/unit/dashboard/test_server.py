"""Whatever is asked of it, the server gives away nothing but what lies in the folder of runs."""

import json
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from dist_alexnet.dashboard.server import make_app
from tests.made_runs import make_run

SECRET = "nobody may read this"


@pytest.fixture(name="client")
def fixture_client(tmp_path: Path) -> FlaskClient:
    runs = tmp_path / "runs"
    make_run(runs, "a")
    (tmp_path / "out").mkdir()
    for name in ("report.html", "compare.json", "config.yaml", "metrics.jsonl"):
        (tmp_path / "out" / name).write_text(SECRET)
    (runs / "link").symlink_to(tmp_path / "out")
    (runs / "compare-1").mkdir()
    (runs / "compare-1" / "report.html").write_text("<h1>report</h1>")
    (runs / "compare-2").mkdir()
    (runs / "compare-2" / "report.html").symlink_to(tmp_path / "out" / "report.html")
    client: FlaskClient = make_app(runs).server.test_client()
    return client


@pytest.mark.parametrize(
    "path",
    [
        "/report?run=link",
        "/report?run=compare-2",
        "/report?run=..%2Fout",
        "/report?run=%2E%2E/out",
        "/report?run=../out",
        "/report?run=",
        "/report",
        "/csv?chart=loss&runs=link,..%2Fout",
        "/csv?chart=../../x&runs=a",
        "/csv",
        "/assets/../../out/report.html",
        "/assets/%2e%2e/%2e%2e/command.py",
        "/../out/report.html",
    ],
)
def test_no_address_leads_out_of_the_folder(path: str, client: FlaskClient) -> None:
    answer = client.get(path)
    assert SECRET not in answer.text
    assert answer.status_code == 404 or "react-entry-point" in answer.text


def test_a_report_is_served_apart_from_the_page(client: FlaskClient) -> None:
    answer = client.get("/report?run=compare-1")
    assert answer.text == "<h1>report</h1>"
    assert answer.headers["Content-Security-Policy"].startswith("sandbox allow-scripts allow-downloads; default-src 'none'")


def test_the_page_may_load_nothing_from_elsewhere(client: FlaskClient) -> None:
    answer = client.get("/")
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
    assert "//cdn" not in answer.text
    assert "fonts.g" not in answer.text


@pytest.mark.parametrize(
    ("host", "status"),
    [("127.0.0.1:8050", 200), ("localhost", 200), ("[::1]:80", 200), ("evil.example:8050", 403), ("a.localhost", 403), ("192.0.2.1", 403)],
)
def test_a_name_of_somebody_elses_that_leads_here_is_refused(host: str, status: int, client: FlaskClient) -> None:
    assert client.get("/", headers={"Host": host}).status_code == status


@pytest.mark.parametrize(
    "search", [None, "?runs=a", "?runs=none,%FF,..", "?runs=link&x=z&zoom=3,1&page=99&sort=-nothing&filter=%zz", 3, ["x"], {"a": 1}]
)
def test_any_address_makes_a_page(search: Any, client: FlaskClient) -> None:
    for wanted in json.loads(client.get("/_dash-dependencies").text):
        outputs = [each.split("@")[0] for each in wanted["output"].strip(".").split("...")]
        if "list.children" in outputs or "details.children" in outputs:
            asked = {
                "output": wanted["output"],
                "outputs": [dict(zip(("id", "property"), each.rsplit(".", 1), strict=True)) for each in outputs],
                "inputs": [{"id": "address", "property": "search", "value": search}, {"id": "tick", "property": "n_intervals", "value": 0}],
                "changedPropIds": ["address.search"],
                "state": [{**each, "value": None} for each in wanted["state"]],
            }
            answer = client.post("/_dash-update-component", json=asked)
            assert answer.status_code == 200
            assert SECRET not in answer.text


def test_where_other_machines_may_look_they_may_call_it_what_they_like(tmp_path: Path) -> None:
    client = make_app(tmp_path, "0.0.0.0").server.test_client()
    assert client.get("/", headers={"Host": "node7.cluster:8050"}).status_code == 200
