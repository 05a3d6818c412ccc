"""Notice that this process is about to be taken away: SIGTERM, or a machine that drains.

A machine that is shut down ends its processes with SIGTERM; a spot instance that is taken back
drains (`ssgan.cluster.spot`), and so does a pod that Kubernetes ends. Either way there are seconds
to minutes, enough for a checkpoint.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from ssgan.launch.signals import raise_once

_POLL = 2.0  # seconds between two looks at the machines that drain; GCP takes one back after 30

_sigterm = threading.Event()


def heed_sigterm() -> None:
    """Take the first SIGTERM to this process for a notice; a second one ends it as before.

    Ray runs what trains in a thread, while Python handles signals in the main thread alone: call
    this there, before.
    """
    signal.signal(signal.SIGTERM, raise_once(_sigterm, signal.getsignal(signal.SIGTERM)))


@contextmanager
def watch_for_preemption() -> Iterator[Callable[[], bool]]:
    """Yield a function that says whether this worker or trial of Ray is to leave its machine.

    Ray Train asks all workers to agree on `ray.train.get_preemption_info`, which costs a round
    trip of all at every look, and Ray Tune has no such call. So each process looks for its own
    machine among those that drain; the loop lets the workers agree anyway.
    """
    import ray
    from ray._private.state import state

    node = ray.get_runtime_context().get_node_id()
    drains, over = threading.Event(), threading.Event()

    def look() -> None:
        while not over.wait(_POLL):
            with suppress(Exception):  # the head may be busy, or gone, which others will say
                if node in state.get_draining_nodes():
                    drains.set()
                    return

    watcher = threading.Thread(target=look, name="preemption", daemon=True)
    watcher.start()
    try:
        yield lambda: _sigterm.is_set() or drains.is_set()
    finally:
        over.set()
        watcher.join()


def preempted(reason: str) -> Exception:
    """Return the error by which a trial tells Ray Tune to start it elsewhere.

    Tune does not count it among the failures that `scaling.retries` limits.
    """
    from ray.exceptions import RayActorError

    return RayActorError(error_msg=reason, preempted=True)
