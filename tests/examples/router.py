"""A router for the examples: OpenSSH's server, whose user finds the programs of `router.sh` in the path. Used by `test_examples`."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.openssh import OpenSshServer

PROGRAMS: Final = ("show", "configure", "request")


@contextmanager
def running_router() -> Iterator[OpenSshServer]:
    """Give a server that plays a router."""
    # Not pytest's own directory: the user who logs in could not look into that one.
    programs = Path(tempfile.mkdtemp(prefix="stepswitch-router-"))
    try:
        programs.chmod(0o755)
        for name in PROGRAMS:
            shutil.copy(Path(__file__).with_name("router.sh"), programs / name)
            (programs / name).chmod(0o755)
        with OpenSshServer(more_settings=f"SetEnv PATH={programs}:/usr/local/bin:/usr/bin:/bin") as server:
            yield server
    finally:
        shutil.rmtree(programs)


def set_up(server: OpenSshServer, state: Mapping[str, str]) -> None:
    """Let the router know nothing but `state`: names of its files and what stands in them."""
    place = server.work / "router"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    for name, text in state.items():
        (place / name).write_text(text, encoding="utf-8")
    for path in (place, *place.iterdir()):
        shutil.chown(path, server.user)
