"""Addresses of processes that compute together, and their meeting."""

import json
import socket
import threading
import time

import pytest

from lib.cluster.meeting import Cluster
from lib.cluster.ports import free_ports
from lib.cluster.slurm import NEEDED, expand_nodes
from lib.errors import UserError


def tf_config(cluster, task) -> dict[str, str]:
    return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": task})}


def step(**changes: str) -> dict[str, str]:
    """Environment of process 3 of a step with two processes on each of two nodes."""
    values = ("70007", "gpu[09-10]", "2(x2)", "3", "1", "1")
    return dict(zip(NEEDED, values, strict=True)) | changes


def test_workers_of_tf_config():
    workers = ["a:1", "b:2"]
    cluster = Cluster.from_environment(tf_config({"worker": workers}, {"type": "worker", "index": 1}))
    assert cluster == Cluster(("a:1", "b:2"), 1)


def test_a_chief_of_tf_config_comes_first():
    jobs = {"worker": ["b:2", "c:3"], "chief": ["a:1"]}
    assert Cluster.from_environment(tf_config(jobs, {"type": "worker", "index": 1})) == Cluster(
        ("a:1", "b:2", "c:3"), 2
    )
    assert Cluster.from_environment(tf_config(jobs, {"type": "chief", "index": 0})).index == 0


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({}, "TF_CONFIG must list the processes, or SLURM's srun must have started them, got neither"),
        ({"TF_CONFIG": "worker"}, "TF_CONFIG must have the form"),
        (tf_config({"worker": ["a:1"]}, {"type": "worker"}), "TF_CONFIG must have the form"),
        (tf_config({"worker": ["a:1"], "ps": ["b:2"]}, {"type": "worker", "index": 0}), "got ps"),
        (tf_config({"worker": ["a"]}, {"type": "worker", "index": 0}), "must list addresses host:port, got 'a'"),
        (tf_config({"worker": ["a:1", "a:1"]}, {"type": "worker", "index": 0}), "must list each address once"),
        (tf_config({"worker": ["a:1"]}, {"type": "worker", "index": 1}), "must give the task one of the 1 addresses"),
        (tf_config({"worker": ["a:1"]}, {"type": "worker", "index": "x"}), "TF_CONFIG must have the form"),
        (tf_config({"worker": ["a:65536"]}, {"type": "worker", "index": 0}), "addresses host:port, got 'a:65536'"),
        # Neither is the other's place in the list of all.
        (tf_config({"chief": ["a:1"], "worker": ["b:2"]}, {"type": "chief", "index": 1}), "one of the 2 addresses"),
        (tf_config({"chief": ["a:1"], "worker": ["b:2"]}, {"type": "worker", "index": -1}), "one of the 2 addresses"),
        ({"SLURM_JOB_ID": "1"}, "SLURM_STEP_NODELIST must be set, got none"),
        (step(SLURM_STEP_NODELIST="gpu[9"), "must be a list such as"),
        (step(SLURM_STEP_NODELIST="gpu[9-]"), r"must hold ranges such as \[01-03,7\], got '\[9-\]'"),
        (step(SLURM_STEP_TASKS_PER_NODE="2,x"), "must be a list such as 4"),
        (step(SLURM_STEP_TASKS_PER_NODE="4"), "must describe the 2 nodes of SLURM_STEP_NODELIST, got 1"),
        (step(SLURM_PROCID="x"), "SLURM_PROCID must be a number, got 'x'"),
        (step(SLURM_NODEID="0"), "--distribution=block"),
    ],
)
def test_malformed_environments_are_refused(environment, message):
    with pytest.raises(UserError, match=message):
        Cluster.from_environment(environment)


def test_a_slurm_step_numbers_its_processes_node_by_node():
    cluster = Cluster.from_environment(step())
    assert cluster.index == 3
    hosts, ports = zip(*(address.split(":") for address in cluster.addresses), strict=True)
    assert hosts == ("gpu09", "gpu09", "gpu10", "gpu10")
    first, second, *others = map(int, ports)
    assert second == first + 1
    assert others == [first, second]


def test_jobs_on_one_node_get_different_ports():
    one, other = (set(Cluster.from_environment(step(SLURM_JOB_ID=job)).addresses) for job in ("70007", "70008"))
    assert not one & other


@pytest.mark.parametrize(
    ("text", "nodes"),
    [
        ("login", ["login"]),
        ("a[1-2],b-3,c[07,09-11]-ib", ["a1", "a2", "b-3", "c07-ib", "c09-ib", "c10-ib", "c11-ib"]),
        ("r[1-2]n[3-4]", ["r1n3", "r1n4", "r2n3", "r2n4"]),
    ],
)
def test_node_lists(text, nodes):
    assert list(expand_nodes(text)) == nodes


def test_processes_meet():
    ports = free_ports(3)
    addresses = tuple(f"127.0.0.1:{port}" for port in ports)
    everyone, arrived = threading.Barrier(3), []

    def meet(index: int) -> None:
        Cluster(addresses, index).meet(10)
        arrived.append(index)
        with socket.create_server(("", ports[index])):  # as TensorFlow does from here on
            everyone.wait(10)

    threads = [threading.Thread(target=meet, args=[index]) for index in range(3)]
    for thread in threads[1:]:
        thread.start()
    time.sleep(0.5)
    assert not arrived  # the chief is not there
    threads[0].start()
    for thread in threads:
        thread.join()
    assert sorted(arrived) == [0, 1, 2]


def test_a_process_that_does_not_come_is_named():
    first, second = free_ports(2)
    with pytest.raises(UserError, match=rf"no answer from worker 1 \(127.0.0.1:{second}\): Connection refused"):
        Cluster((f"127.0.0.1:{first}", f"127.0.0.1:{second}"), 0).meet(0)


def test_a_port_in_use_is_refused():
    (port,) = free_ports(1)
    cluster = Cluster((f"127.0.0.1:{port}",), 0)
    with socket.create_server(("", port)), pytest.raises(UserError, match="whose port is free, got Address already"):
        cluster.meet(0)
