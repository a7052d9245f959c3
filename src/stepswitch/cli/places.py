"""Data directories that somebody names. Called by the commands that only look into one, and so must not make it."""

from pathlib import Path

from stepswitch.domain.errors import SettingsError


def refuse_missing(data_dir: Path) -> None:
    """Raise SettingsError where there is no such directory: it is a slip of the pen more often than a wish."""
    if not data_dir.is_dir():
        raise SettingsError(f"there is no data directory {data_dir}; --data-dir names the one that the service uses")
