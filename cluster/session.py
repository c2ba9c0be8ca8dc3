"""A Ray of our own for the time of a run, or the connection to somebody's cluster. Quiet, and with its signals left to the driver."""

import logging
import os
import secrets
import socket
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cluster.placement import Node
from cluster.stderr import errors_to
from dist_alexnet.config import UsageError

PROBE_S = 5.0
ANSWER_S = 2.0  # for a node to accept a connection; one whose link is down does not refuse it
PROBES = 32  # nodes that are asked at once
OBJECT_STORE_BYTES = 100 * 2**20  # ours carries one pickled function; Ray would take 30 % of the memory

TOKEN = "set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN_PATH to the file with its token"
PREFIX = "ray-"
MAX_SOCKET_BYTES = 107
INNER = "r"  # in a folder of mode 0700: Ray makes its own writable for everybody
SOCKET = f"/{PREFIX}01234567/{INNER}/session_2026-11-25_10-46-20_123456_1234567/sockets/plasma_store"  # the longest path that Ray makes

ENVIRONMENT = {
    "RAY_DISABLE_FAILURE_SIGNAL_HANDLER": "1",  # else SIGTERM prints a C++ stack trace over the driver's own handling
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # else the working directory is uploaded when the driver runs under `uv run`
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",  # else the death of a rank is printed by Ray too, and log_to_driver=False does not stop it
    "RAY_NUM_REDIS_GET_RETRIES": "3",  # else a cluster that refuses us is asked for 20 s, with a warning on the terminal each second
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_worker_niceness": "0",  # of a Ray of our own; by its default of 15 ranks get what the rest of the machine leaves
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",  # the end of a run, or of a rank, is noticed this late; 2 s by default
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "120",
    "RAY_TRAIN_METRICS_ENABLED": "0",  # the run writes its own
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",  # a process that a run without retries has no use for
}


def prepare() -> None:
    """Import Ray as we want it; what the user has set in the environment stands."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)  # before the import: Ray reads some of them then
    if not os.path.isabs(os.path.expanduser("~")):  # a user whom this machine does not know: Ray Train does not import without a home
        os.environ["HOME"] = "/"
    os.environ["RAY_TRAIN_V2_ENABLED"] = "1"  # the first Ray Train, which other programs may want, is another library
    import ray  # noqa: F401

    logging.getLogger("ray").setLevel(logging.ERROR)


def place_for_sockets() -> str:
    """The folder for Ray's: RAY_TMPDIR, TMPDIR or /tmp, the first that is there and short enough.

    Raises:
        UsageError: none is.
    """
    places = dict.fromkeys(filter(None, (os.environ.get("RAY_TMPDIR"), tempfile.gettempdir(), "/tmp")))
    for place in map(os.path.abspath, places):
        if len(os.fsencode(place + SOCKET)) <= MAX_SOCKET_BYTES and os.access(place, os.W_OK | os.X_OK):
            return place
    raise UsageError(
        f"Ray needs a folder that can be written, with a path of at most {MAX_SOCKET_BYTES - len(SOCKET)} bytes, "
        f"which {', '.join(places)} is not; set RAY_TMPDIR to one, or type --launcher local"
    )


def start(ranks: int, gpus: int, folder: Path) -> None:
    """Start Ray on this machine with a slot per rank, however many cores there are. Its processes end with the thread that calls this."""
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # Ray's word for a node whose address is 127.0.0.1, whatever system it is on
    prepare()
    import ray

    # Ray would write a token to ~/.ray, which fails where HOME is read-only, and which turns a later `ray start` to token mode.
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    os.environ.pop("RAY_JOB_CONFIG_JSON_ENV_VAR", None)  # of the cluster whose job we are: its packages are not in ours
    ray.init(
        address="local",  # not RAY_ADDRESS, and not a cluster that happens to run here
        num_cpus=ranks,
        num_gpus=gpus,
        object_store_memory=OBJECT_STORE_BYTES,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        _temp_dir=str(folder / INNER),
        # Ray Train's processes cannot use the ones started in advance: theirs have another environment.
        _system_config={"prestart_worker_first_driver": False},
    )


def nodes(address: str) -> list[Node]:
    """The living nodes of a cluster that answer. We leave it again: a driver whose cluster dies is ended by Ray."""
    connect(address)
    import ray

    try:
        return answering(nodes_here())
    except Exception as error:  # of many kinds: the head node has gone in the meantime
        raise UsageError(f"the Ray cluster at {address} has stopped answering: {_reason(error)}") from error
    finally:
        ray.shutdown()


def answering(nodes: list[Node]) -> list[Node]:
    """Those that accept a connection: Ray itself takes half a minute to notice that a node is gone."""
    with ThreadPoolExecutor(PROBES) as pool:
        answers = pool.map(lambda node: _answers(node.address), nodes)
        return [node for node, answer in zip(nodes, answers, strict=True) if answer]


def _answers(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, timeout=ANSWER_S).close()
    except OSError:
        return False
    return True


def nodes_here() -> list[Node]:
    """The nodes of the cluster that this process has joined, which Ray takes to be alive."""
    import ray
    from ray._private.state import available_resources_per_node, state  # Ray Train's own elasticity looks there, too

    free, leaving = available_resources_per_node(), state.get_draining_nodes()  # type: ignore[no-untyped-call]
    return [
        Node(
            id=node["NodeID"],
            name=node["NodeManagerHostname"],
            address=(node["NodeManagerAddress"], node["NodeManagerPort"]),
            total=node["Resources"],
            free=free.get(node["NodeID"], {}),
            leaving=node["NodeID"] in leaving,
        )
        for node in ray.nodes()  # type: ignore[no-untyped-call]
        if node["Alive"]
    ]


def connect(address: str) -> None:
    """Join an existing cluster; nothing happens if this process has joined.

    Raises:
        UsageError: nobody answers, or we are refused.
    """
    prepare()
    import ray

    if ray.is_initialized():
        return
    if address != "auto":
        _probe(address)
    from ray.exceptions import RayError

    try:
        # Why it failed is in the exception too. In the main thread Ray would replace the handler of SIGTERM.
        with tempfile.TemporaryDirectory() as folder, errors_to(Path(folder) / "ray.log"), ThreadPoolExecutor(1) as pool:
            pool.submit(ray.init, address=address, log_to_driver=False, logging_level=logging.ERROR).result()
    except (ConnectionError, RuntimeError, ValueError, RayError) as error:
        raise UsageError(f"cannot join the Ray cluster at {address}: {_reason(error)}") from error


def _probe(address: str) -> None:
    """Ask the head node for a TCP connection: Ray itself tries for two minutes, with warnings on the terminal."""
    host, _, port = address.rpartition(":")
    if "/" in address or not host or not port.isdigit():
        raise UsageError(f"{address!r} is no address of a Ray cluster; type that of its head node, as in launch.address=10.0.0.1:6379")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=PROBE_S).close()
    except OSError as error:
        raise UsageError(
            f"no Ray cluster answers at {address} ({error}); type another launch.address, or --launcher local for this machine alone"
        ) from None


def _reason(error: Exception) -> str:
    if "AuthToken" in f"{error} {error.__cause__}":
        return f"it asks for another token; {TOKEN}"
    if "RAY_AUTH_TOKEN" in str(error):  # we have none to show
        return f"{str(error).partition('. ')[0]}; {TOKEN}"
    if "Version mismatch" in str(error):  # five lines
        return f"{' '.join(str(error).split())}; install the same on all machines"
    return str(error).partition("\n")[0]
