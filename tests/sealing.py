"""Keys for tests, always the same: what one database encrypts, another one can read."""

from typing import Final

from stepswitch.secrets.sealing import NAMES, Sealing

FIRST: Final = b"the first key is thirty-two long"


def sealing_for_tests() -> Sealing:
    """Return what encrypts with the first generation."""
    made = Sealing()
    made.install(NAMES, b"the key of names is as long too!")
    made.install(1, FIRST)
    return made
