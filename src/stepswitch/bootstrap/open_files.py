"""How many files this process may have open, connections among them. Called by `server` before it listens.

A process without a file left can neither answer nor say why. So the limit is raised as far as is needed, and where it cannot be,
fewer connections are taken: whoever is one too many is told so.
"""

import resource
from typing import Final

import structlog

from stepswitch.bootstrap.crowd import SURPLUS
from stepswitch.config.settings import Settings

FILES_PER_STEP: Final = 2
OTHER_FILES: Final = 100
"""The database, the log, uploads, and what the interpreter has open."""
FEWEST_CONNECTIONS: Final = 10
_log = structlog.get_logger("stepswitch")


def room_for_connections(settings: Settings) -> int:
    """Raise the limit on open files as far as is needed and allowed; return how many connections may then be open at once."""
    others = FILES_PER_STEP * settings.steps_at_once + OTHER_FILES + SURPLUS
    wanted = settings.max_connections + others
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return settings.max_connections
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    room = max(FEWEST_CONNECTIONS, min(settings.max_connections, limit - others))
    if room < settings.max_connections:
        _log.warning("the limit on open files is too low for so many connections", limit=limit, needed=wanted, connections=room)
    return room
