"""No core dump of a process that knows keys and passwords. Called by `server` and by the command line before anything is opened."""

import resource


def forbid_core_dumps() -> None:
    """Have the kernel write no memory of this process to a disk, nor of those that it starts."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
