"""Connection to a Ray cluster, with quick and short errors. Used by `ray_workers`.

`ray.init` waits for minutes if no Ray is at an address, prints pages, and ends the process. Therefore, the address is
checked first.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vis_cli.batch.driver import WorkerError
from vis_cli.batch.process_limits import num_cores
from vis_cli.batch.ray_plan import Node
from vis_cli.files.limits import MIB
from vis_cli.files.names import printable
from vis_cli.signals import install_handlers

AUTO, LOCAL = "auto", "local"
STORE_BYTES = 100 * MIB  # of the objects of a local Ray: only paths and outcomes are sent
SECONDS = 5.0  # for an answer at an address
# The first bytes of HTTP/2, as which gRPC and therefore Ray answers: the preface, and an empty SETTINGS frame.
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
SETTINGS = 4  # type of a frame, in its fourth byte
NO_RAY = "Start Ray with `ray start --head`, and use --ray auto or the address that it prints."
NOT_CONNECTED = "Run `vis batch` on a machine of this cluster. If the cluster has a token, set RAY_AUTH_MODE=token."


def import_ray() -> Any:
    """Return the package Ray.

    Raises:
        WorkerError: It is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # else it prints a warning about CUDA
    try:
        import ray
    except ImportError as error:
        raise WorkerError("--ray needs the package ray", hint="Run: pip install 'vis-cli[ray]'") from error
    return ray


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """Connect to a cluster, and yield the package Ray. At the end, Ray ends the actors of this process.

    Args:
        address: HOST:PORT; "auto": the cluster of this machine, or RAY_ADDRESS; "local": a new one on this machine.

    Raises:
        WorkerError: Ray is not installed, is not at the address, or has another version.
    """
    ray = import_ray()
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    if address == LOCAL:
        options |= {"num_cpus": num_cores(), "include_dashboard": False, "object_store_memory": STORE_BYTES}
    else:
        address = _resolve(address)
        _require_grpc(address)
    with _silent_stdout():
        try:
            ray.init(address=address, **options)
        except (Exception, SystemExit) as error:  # Ray also raises `Exception` itself
            problem = f"cannot connect to Ray at {address}: {_short(error)}"
            raise WorkerError(problem, hint=NOT_CONNECTED) from error
        install_handlers()  # Ray replaces the handler of SIGTERM
        try:
            yield ray
        finally:
            ray.shutdown()


def list_nodes(ray: Any) -> dict[str, Node]:
    """Return the living nodes of the cluster, by their id."""
    found = {}
    for node in ray.nodes():
        if node["Alive"]:
            resources = node["Resources"]
            found[node["NodeID"]] = Node(int(resources.get("CPU", 0)), int(resources.get("GPU", 0)))
    return found


def _resolve(address: str) -> str:
    """Return HOST:PORT.

    Raises:
        WorkerError: The address has another form, or no Ray runs on this machine.
    """
    if address == AUTO:
        from ray._private.services import canonicalize_bootstrap_address_or_die

        try:
            return str(canonicalize_bootstrap_address_or_die(AUTO))
        except ConnectionError as error:
            raise WorkerError("no Ray runs on this machine", hint=NO_RAY) from error
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise WorkerError(f"--ray is {printable(address)!r}", hint="Use auto, local or HOST:PORT, such as head:6379.")
    return address


def _require_grpc(address: str) -> None:
    """Check that a gRPC server answers.

    Raises:
        WorkerError: No server answers, or it is of another kind.
    """
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=SECONDS) as connection:
            connection.sendall(PREFACE)
            answer = connection.recv(9)
    except OSError as error:
        problem = f"no Ray at {address}: {error.strerror or 'no answer'}"
        raise WorkerError(problem, hint=NO_RAY) from error
    if len(answer) < 4 or answer[3] != SETTINGS:
        raise WorkerError(f"no Ray at {address}: the server is of another kind", hint=NO_RAY)


@contextmanager
def _silent_stdout() -> Iterator[None]:
    """Discard stdout, on which Ray prints each end of a worker. `vis batch` itself prints on stderr."""
    with Path(os.devnull).open("w", encoding="utf-8") as sink, contextlib.redirect_stdout(sink):
        yield


def _short(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return "no answer"
    return printable(" ".join(str(error).split()), limit=300).rstrip(".")
