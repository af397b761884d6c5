"""Addresses without Ray: short errors, at once. They need no Ray."""

from __future__ import annotations

import contextlib
import http.server
import socket
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from vis_cli.batch import ray_cluster
from vis_cli.batch.driver import WorkerError
from vis_cli.batch.ray_cluster import connected


@pytest.fixture
def _fake_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace Ray: the address is checked before it is used."""
    monkeypatch.setattr(ray_cluster, "import_ray", lambda: None)


@contextlib.contextmanager
def http_server() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def silent_server() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def problem_of(address: str) -> str:
    started = time.monotonic()
    with pytest.raises(WorkerError) as raised, connected(address):
        pass
    assert time.monotonic() - started < 30  # Ray itself waits for one to two minutes
    return str(raised.value)


@pytest.mark.usefixtures("_fake_ray")
def test_an_address_without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    with silent_server() as address:
        pass
    assert problem_of(address) == f"no Ray at {address}: Connection refused. {ray_cluster.NO_RAY}"
    with http_server() as address:
        assert f"no Ray at {address}: the server is of another kind" in problem_of(address)
    monkeypatch.setattr(ray_cluster, "SECONDS", 0.2)
    with silent_server() as address:
        assert f"no Ray at {address}: no answer" in problem_of(address)


@pytest.mark.usefixtures("_fake_ray")
@pytest.mark.parametrize("address", ["head", ":1", "head:", "head:99999", "ray://head:10001", "http://head:8265", ""])
def test_an_invalid_address(address: str) -> None:
    assert f"--ray is {address!r}. Use auto, local or HOST:PORT" in problem_of(address)


def test_ray_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert problem_of("auto") == "--ray needs the package ray. Run: pip install 'vis-cli[ray]'"
