"""Looking for known vulnerabilities, with a double of the service and with dumps made here."""

import importlib.util
import json
import threading
import zipfile
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from typing_extensions import override

PROJECT = Path(__file__).parents[1]


def loaded():
    spec = importlib.util.spec_from_file_location("audit", PROJECT / ".ci" / "audit.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


audit = loaded()


@contextmanager
def service(answer):
    """A double of OSV, which answers each query as told."""
    heard = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            heard.extend(asked["queries"])
            body = json.dumps({"results": [answer(query) for query in asked["queries"]]}).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        @override
        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/", heard
        finally:
            server.shutdown()
            thread.join()


def dump(folder, ecosystem, name, **affected):
    path = folder / f"{ecosystem}.zip"
    about = {"package": {"ecosystem": ecosystem, "name": name}, **affected}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("X-1.json", json.dumps({"id": "X-1", "affected": [about]}))
    return str(path)


def since(version, fixed=None):
    events = [{"introduced": version}] + ([{"fixed": fixed}] if fixed else [])
    return {"ranges": [{"type": "ECOSYSTEM", "events": events}]}


def test_every_package_of_every_lock_is_asked_for():
    with service(lambda _: {}) as (url, heard):
        assert audit.main(["--api", url]) == 0
    asked = {(query["package"]["ecosystem"], query["package"]["name"]) for query in heard}
    assert {
        ("PyPI", "aiohttp"),
        ("PyPI", "pytest"),
        ("PyPI", "pesq"),
        ("npm", "typescript"),
    } <= asked
    assert all(query["version"] for query in heard)


def test_what_the_service_knows_is_told(capsys):
    def answer(query):
        return {"vulns": [{"id": "GHSA-x"}]} if query["package"]["name"] == "aiohttp" else {}

    with service(answer) as (url, _):
        assert audit.main(["--api", url]) == 1
    assert "GHSA-x" in capsys.readouterr().out


@pytest.mark.parametrize("api", ["http://127.0.0.1:9/", "http://nowhere.invalid/"])
def test_what_could_not_be_asked_is_not_called_good(api, capsys):
    assert audit.main(["--api", api]) == 2
    told = capsys.readouterr()
    assert "audit: 0 of" in told.out
    assert "NOT CHECKED" in told.err


def test_a_service_that_answers_less_than_was_asked_is_not_believed(monkeypatch):
    with service(lambda _: {}) as (url, _), monkeypatch.context() as patched:
        patched.setattr(audit.json, "load", lambda _: {"results": [{}]})
        with pytest.raises(audit.Unreachable, match="1 answers to 2 questions"):
            audit.ask([audit.Package("PyPI", name, "1") for name in ("a", "b")], url)


def test_dumps_are_looked_into_and_an_ecosystem_without_one_is_not_called_good(tmp_path, capsys):
    assert audit.main([dump(tmp_path, "PyPI", "AioHTTP", **since("0"))]) == 1
    told = capsys.readouterr()
    assert "aiohttp" in told.out
    assert "(npm) were NOT CHECKED" in told.err


def test_dumps_of_both_ecosystems_that_know_nothing_are_good(tmp_path):
    dumps = [
        dump(tmp_path, "PyPI", "other", **since("0")),
        dump(tmp_path, "npm", "x", **since("0")),
    ]
    assert audit.main(dumps) == 0


@pytest.mark.parametrize(
    ("affected", "expected"),
    [
        (since("0"), True),
        (since("1.3"), False),
        (since("1.0", fixed="1.2"), False),
        (since("1.0", fixed="1.2.1"), True),
        ({"versions": ["1.2"]}, True),
        ({"versions": ["1.1"]}, False),
        ({"ranges": [{"type": "GIT", "events": [{"introduced": "0"}]}]}, False),
        (
            {
                "ranges": [
                    {"type": "SEMVER", "events": [{"introduced": "0"}, {"last_affected": "1.2"}]}
                ]
            },
            True,
        ),
    ],
)
def test_a_version_is_affected_where_the_advisory_says_so(affected, expected):
    assert audit.is_affected("1.2", affected) is expected
