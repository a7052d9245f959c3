"""How long things may take at a cluster, in seconds. Given to `kubernetes`, used by its companions."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Times:
    """All limits but that of the attempt itself, which is the runner's."""

    connect: float = 30.0
    answer: float = 30.0
    """Until a cluster has answered one question."""
    patience: float = 300.0
    """How long a cluster that cannot be reached is asked again while a script may run there."""
    pauses: tuple[float, ...] = (0.2, 0.5, 1.0, 2.0, 4.0)
    """Between two such questions; the last one is repeated."""
    schedule: float = 300.0
    """Until a node has taken the pod."""
    refusal: float = 10.0
    """Until a container that cannot begin counts as one that never does: its Secret may be on the way to the node."""
    drain: float = 75.0
    """Until the log of a pod that is over has been read."""
    removal: float = 30.0
    """Until what was made is gone."""
    last: float = 5.0
    """The same for an attempt that is stopped."""
    look: float = 2.0
    """Between two looks at a pod that does not begin."""
