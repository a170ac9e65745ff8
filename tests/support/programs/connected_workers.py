"""Two connected processes; the second one is lost at the end. Prints what the first one found, as JSON.

They are forked after the import of TensorFlow, which takes most of the time.
"""

import json
import os
import sys

from lib.cluster.meeting import Cluster
from lib.cluster.ports import free_ports
from lib.errors import UserError
from lib.runtime.quiet_tensorflow import import_tensorflow

import_tensorflow()

import tensorflow as tf  # noqa: E402

from model.training import workers  # noqa: E402


def message(function, *arguments) -> str:
    try:
        function(*arguments)
    except UserError as error:
        return str(error)
    return ""


def wait_forever(connected: workers.ConnectedWorkers) -> None:
    with connected.watched(lambda: "the advice"):
        connected.barrier()


def run(index: int, addresses: tuple[str, ...], reader: int, writer: int) -> dict:
    connected = workers.connect(Cluster(addresses, index))
    rows = tf.fill([1, 2], float(index + 1))
    mean, join = (tf.function(function, autograph=False) for function in (connected.mean, connected.join))
    found = {
        "chief": connected.chief,
        "mean": [value.numpy().tolist() for value in mean([rows, rows[0, 0] * 10])],
        "join": [value.numpy().tolist() for value in join([rows, rows[:, :1]])],
        "any": [connected.any(False), connected.any(index == 1)],
        "same": message(connected.compare, {"train.seed": 1, "records": "a"}),
        "other": message(connected.compare, {"train.seed": index, "records": "a"}),
    }
    if index == 1:
        os.read(reader, 1)  # earlier, the first process might still be reading the last answer
        os._exit(0)
    os.write(writer, b".")
    return found | {"lost": message(wait_forever, connected)}


if __name__ == "__main__":
    chosen = tuple(f"127.0.0.1:{port}" for port in free_ports(2))
    pipe = os.pipe()
    child = os.fork()
    found = run(1 if child == 0 else 0, chosen, *pipe)
    print(json.dumps(found | {"addresses": chosen}))
    sys.stdout.flush()
    os._exit(0)
