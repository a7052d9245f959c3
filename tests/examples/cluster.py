"""A cluster for the examples: the fake of the Kubernetes API, whose image has the `kubectl` of `kubectl.sh`. Used by `test_examples`."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from tests.kubernetes.api_server import FakeCluster


def set_up(cluster: FakeCluster, tools: Path, state: Mapping[str, int]) -> None:
    """Let whoever asks into a cluster, and let its scripts find a deployment as `state` says: `replicas`, and the `room` for them."""
    cluster.token = None
    shutil.copy(Path(__file__).with_name("kubectl.sh"), tools / "kubectl")
    (tools / "kubectl").chmod(0o755)
    for name, number in {"replicas": 1, "room": 1_000, **state}.items():
        (tools / name).write_text(f"{number}\n")
    cluster.node.path = f"{tools}:{cluster.node.path}"
