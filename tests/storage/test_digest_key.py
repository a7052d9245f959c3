"""Risk: the key of the digests changes without need, can be read by others, or is half written."""

import stat
from pathlib import Path

import pytest

from stepswitch.domain.errors import SettingsError
from stepswitch.storage.digest_key import KEY_BYTES, digest_key


def test_a_key_is_made_once_and_read_from_then_on(tmp_path: Path) -> None:
    path = tmp_path / "digest.key"
    made = digest_key(path)
    assert (len(made), stat.S_IMODE(path.stat().st_mode)) == (KEY_BYTES, 0o600)
    assert digest_key(path) == path.read_bytes() == made
    assert digest_key(tmp_path / "other.key") != made


@pytest.mark.parametrize("left", [b"", b"half", b"x" * (KEY_BYTES + 1)], ids=len)
def test_what_is_no_key_is_replaced_and_what_a_stop_left_does_no_harm(tmp_path: Path, left: bytes) -> None:
    path = tmp_path / "digest.key"
    path.write_bytes(left)
    (tmp_path / "digest.key.part").write_bytes(left)
    made = digest_key(path)
    assert path.read_bytes() == made
    assert [each.name for each in tmp_path.iterdir()] == ["digest.key"]


def test_a_key_that_cannot_be_read_keeps_the_service_from_starting(tmp_path: Path) -> None:
    (tmp_path / "digest.key").mkdir()
    with pytest.raises(SettingsError, match=r"the key .*digest\.key cannot be used: Is a directory"):
        digest_key(tmp_path / "digest.key")
