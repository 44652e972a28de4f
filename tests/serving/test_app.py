"""The service's HTTP within the test: no input is an error of ours, sessions, headers, full disks."""

import errno
import sqlite3
import warnings
from pathlib import Path

import pytest

from anomae.errors import UserError
from anomae.serving.app import create_app
from anomae.serving.auth import COOKIE, Doorkeeper
from anomae.serving.limits import Limits
from anomae.serving.service import Service

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the test client wants another HTTP library one day
    from starlette.testclient import TestClient

TOKEN = "a-token-of-this-test-only"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def service(run: Path, tmp_path: Path):
    made = Service([run], tmp_path / "data", limits=Limits(upload_bytes=50_000, waiting=3), device="cpu")
    yield made
    made.stop()


@pytest.fixture
def client(service: Service) -> TestClient:
    """Without its lifespan: jobs wait, and nothing scores them."""
    return TestClient(create_app(service, Doorkeeper({TOKEN: "maria"})), raise_server_exceptions=False)


def send(client: TestClient, content: bytes = b"x", headers=BEARER, name: str = "a.nii", **fields: str):
    return client.post("/studies", files={"file": (name, content)}, data=fields, headers=headers)


def test_what_was_taken_waits_on_the_disk(client: TestClient, service: Service):
    answer = send(client, b"voxels", run="heads")
    job = answer.json()["job"]
    assert answer.status_code == 202
    state = client.get(f"/jobs/{job}", headers=BEARER).json()
    assert (state["state"], state["study"], state["files"], state["bytes"]) == ("queued", None, 1, 6)
    assert state["results"] == []
    assert (service.study_folder(job) / "upload" / "a.nii").read_bytes() == b"voxels"
    assert list((service.folder / "incoming").iterdir()) == []
    assert "queued" in client.get(f"/studies/{job}", headers=BEARER).json()["detail"]
    assert client.post(f"/jobs/{job}/retry", headers=BEARER).status_code == 409
    assert client.delete(f"/studies/{job}", headers=BEARER).status_code == 204


def test_an_old_study_stays_in_the_list_unless_it_is_done_and_not_flagged(
    client: TestClient, service: Service, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("anomae.serving.app._NEWEST", 1)
    for job, flag in {"flagged": True, "healthy": False, "none": None, "newest": False}.items():
        service.jobs.add(job, "heads", 1, 1, 0.0)
        service.jobs.finish(job, flag=flag, scans=1, findings=0, note="")
        service.jobs.add(f"waits-{job}", "heads", 1, 1, 0.0) if job == "healthy" else None
    answer = client.get("/jobs", headers=BEARER)
    assert [one["job"] for one in answer.json()] == ["newest", "none", "waits-healthy", "flagged"]
    assert answer.headers["X-Total-Count"] == "5"
    newest = client.get("/jobs?most=2", headers=BEARER)
    assert [one["job"] for one in newest.json()] == ["newest", "none"]


def test_what_is_refused_leaves_nothing_behind(client: TestClient, service: Service):
    answers = [send(client, bytes(60_000)), send(client, run="none"), send(client, b"PK\x03\x04 no zip")]
    assert [answer.status_code for answer in answers] == [413, 422, 422]
    assert all(answer.json()["detail"].endswith(".") for answer in answers)
    assert [send(client).status_code for _ in range(4)] == [202, 202, 202, 429]
    assert len(list((service.folder / "studies").iterdir())) == 3
    assert list((service.folder / "incoming").iterdir()) == []


@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, "No space left"), sqlite3.OperationalError("database or disk is full")],
    ids=["file", "table"],
)
def test_a_full_disk_is_said_and_nothing_is_taken(client: TestClient, service: Service, monkeypatch, error: Exception):
    def full(*_):
        raise error

    monkeypatch.setattr(service.jobs, "add", full)
    answer = send(client)
    assert (answer.status_code, "full" in answer.json()["detail"]) == (507, True)
    assert service.jobs.all() == []
    assert list((service.folder / "studies").iterdir()) == []
    monkeypatch.undo()
    assert send(client).status_code == 202


def test_a_session_of_a_browser(client: TestClient):
    own = {"Origin": "http://testserver"}
    assert client.post("/login", json={"token": "wrong"}).status_code == 401
    assert client.get("/jobs").status_code == 401
    answer = client.post("/login", json={"token": TOKEN})
    cookie = answer.headers["set-cookie"].lower()
    assert answer.status_code == 204
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert TOKEN not in cookie
    assert client.get("/jobs").status_code == 200
    assert send(client, headers=own).status_code == 202
    foreign = ("http://evil.example", "null", "http://[", "http://[::1", "http://a]", "")
    for elsewhere in ({}, *({"Origin": origin} for origin in foreign)):
        assert send(client, headers=elsewhere).status_code == 401
    session = client.cookies[COOKIE]
    assert client.post("/logout").status_code == 204
    client.cookies.set(COOKIE, session)
    assert client.get("/jobs").status_code == 401


def test_https_keeps_the_cookie_to_itself(service: Service):
    client = TestClient(create_app(service, Doorkeeper({TOKEN: "maria"}), secure=True), base_url="https://testserver")
    assert "secure" in client.post("/login", json={"token": TOKEN}).headers["set-cookie"].lower()


def test_the_page_comes_from_here_alone(client: TestClient):
    page = client.get("/")
    assert page.status_code == 200
    assert page.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
    assert page.headers["x-frame-options"] == "DENY"
    for name in ("worklist.js", "worklist.css", "page.css", "theme.js"):
        assert client.get(f"/assets/{name}").status_code == 200
        assert f"/assets/{name}" in page.text
    for name in ("worklist.html", "../app.py", "%2e%2e/app.py"):
        assert client.get(f"/assets/{name}").status_code == 404
    assert client.get("/docs").status_code == 404


def test_every_refusal_is_one_sentence(client: TestClient):
    for method, path in (("GET", "/jobs/1"), ("GET", "/jobs/0123456789abcdef"), ("GET", "/jobs?most=0")):
        answer = client.request(method, path, headers=BEARER)
        assert answer.status_code in (404, 422)
        assert isinstance(answer.json()["detail"], str)


def test_no_input_is_an_error_of_ours(service: Service, monkeypatch: pytest.MonkeyPatch):
    """Schemathesis makes requests up from the OpenAPI document, with and without the token."""
    schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed (extra dev)")
    from hypothesis import HealthCheck, Phase, given, settings

    for name in ("start", "stop"):  # it is in use all the time, and schemathesis begins and ends it with each request
        monkeypatch.setattr(Service, name, lambda self: None)
    app = create_app(service, Doorkeeper({TOKEN: "maria"}))
    client = TestClient(app, raise_server_exceptions=False)
    document = client.get("/openapi.json").json()
    assert {"/studies", "/jobs/{job}", "/jobs/{job}/events", "/studies/{study}/seg.dcm"} <= set(document["paths"])
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    seen: dict[int, int] = {}

    for operation in schema.get_all_operations():
        made = operation.ok().as_strategy()

        @settings(
            max_examples=8,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=made)
        def ask(case):
            for headers in (BEARER, {}):
                answer = case.call(headers=headers)
                seen[answer.status_code] = seen.get(answer.status_code, 0) + 1
                assert answer.status_code < 500, (case.method, case.path, answer.text)

        ask()
    assert sum(seen.values()) > 100
    assert {200, 401, 404} <= set(seen), seen


def test_only_fitted_runs_are_served(tmp_path: Path):
    with pytest.raises(UserError, match="holds nothing fitted"):
        Service([tmp_path], tmp_path / "data")


def test_runs_of_one_name_are_told_apart(run: Path, tmp_path: Path):
    service = Service([run, run], tmp_path / "data")
    assert list(service.runs) == ["heads", "heads-2"]
    service.stop()


def test_requests_are_counted_by_status(client: TestClient):
    client.get("/health")
    client.request("BREW", "/health")
    text = client.get("/metrics", headers=BEARER).text
    assert 'anomae_requests_total{method="GET",status="200"} 1.0' in text
    assert 'method="other"' in text
