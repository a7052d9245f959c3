"""Risk: the tabulator offers what is not there, hangs at a service that is away, or writes into the prompt."""

import os
import socket
import subprocess
import sys
from typing import Final

from stepswitch.cli import completion
from tests.cli.distant import Distant

_PROGRAM: Final = """
import sys
from stepswitch.cli import completion, main
completion.PATIENCE_SECONDS = {patience}
sys.argv = ["stepswitch"]
main.main()
"""
_AS_LONG_AS_IT_TAKES: Final = 60.0


def offered(*words: str, patience: float = _AS_LONG_AS_IT_TAKES, **environment: str) -> list[str]:
    """Return what the shell is told for the last of the words, by a completion that waits so many seconds for a service."""
    asked = {"_STEPSWITCH_COMPLETE": "complete_bash", "COMP_WORDS": " ".join(["stepswitch", *words]), "COMP_CWORD": str(len(words))}
    ran = subprocess.run(
        [sys.executable, "-c", _PROGRAM.format(patience=patience)],
        env={**os.environ, **asked, **environment},
        capture_output=True,
        text=True,
        timeout=2 * _AS_LONG_AS_IT_TAKES,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout.split()


def test_ids_and_names_are_offered(desk: Distant) -> None:
    first, second = desk.queue("a"), desk.queue("a")
    assert set(offered("execution", "show", first[:4])) == {first, second}
    assert offered("execution", "abort", first) == [first]
    assert set(offered("workflow", "show", "n")) == {"n"}
    assert offered("execution", "show", "nothing") == []


def test_commands_are_offered_without_a_service() -> None:
    assert {"show", "set"} <= set(offered("execution", "s"))


def test_a_service_that_is_away_or_silent_offers_nothing_and_says_nothing() -> None:
    assert offered("execution", "show", "0") == []
    assert offered("execution", "show", "0", STEPSWITCH_URL="http://127.0.0.1:1") == []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        assert offered("execution", "show", "0", patience=completion.PATIENCE_SECONDS, STEPSWITCH_URL=url) == []
