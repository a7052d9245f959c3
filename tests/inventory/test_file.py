"""Risk: an inventory file means something else than its author meant, a fault of it stands on another line than is told, or a file ends the process."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepswitch.domain.errors import SettingsError
from stepswitch.domain.readers import Report
from stepswitch.inventory.file import read_entry, read_file
from stepswitch.inventory.yaml_text import NoYamlError, read_yaml, write_yaml
from tests.domain.inventories import FULL

BAD = """\
sites:
  paris: {}
vimLocations:
  vc:
    site: pari
    vcenter:
      url: http://vc.example.net
      login: {username: ann, password: hunter2-hunter2}
devices:
  0012:
    addresses:
      - 192.0.2.1
      - "::ffff:192.0.2.1"
    sessionsAtOnce: no
  b:
    platfrm: ios
    addresses: [b.example]
  b: {}
"""


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "inventory.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refused(path: Path) -> list[str]:
    with pytest.raises(SettingsError) as told:
        read_file(path)
    return str(told.value).splitlines()


def test_every_fault_is_told_with_its_line_and_its_path_and_no_secret(tmp_path: Path) -> None:
    path = written(tmp_path, BAD)
    told = refused(path)
    places = [line.removeprefix(f"{path}: ").split(": ")[:2] for line in told]
    assert places == [
        ["line 5", "vimLocations.vc.site"],
        ["line 7", "vimLocations.vc.vcenter.url"],
        ["line 8", "vimLocations.vc.vcenter.login.password"],
        ["line 13", "devices.0012.addresses[1]"],
        ["line 14", "devices.0012.sessionsAtOnce"],
        ["line 15", "devices.b"],
        ["line 16", "devices.b.platfrm"],
    ]
    assert "hunter2" not in "".join(told)
    assert "the second time on line 18" in told[5]


def test_what_is_missing_is_told_on_the_line_of_what_it_is_missing_in(tmp_path: Path) -> None:
    (told,) = refused(written(tmp_path, "sites: {}\ndevices:\n  core.7:\n    platform: ios\n"))
    assert "line 3: devices.core.7.addresses" in told


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"), ("on", "on"), ("12:30", "12:30"), ("2026-01-01", "2026-01-01"), ("0012", "0012"), ("1e5", "1e5"), ("0x10", "0x10"),
        ("1_000", "1_000"), ("=", "="), ("<<", "<<"), ("12", 12), ("-1.5", -1.5), ("true", True), ("null", None), ("~", None), ('"12"', "12"),
        ("'true'", "true"), ("''", ""), ("|\n  a\n  b", "a\nb"), ("", None), ("{a: 1, 0012: [x, {}]}", {"a": 1, "0012": ["x", {}]}),
    ],
)  # fmt: skip
def test_a_value_is_what_it_looks_like_in_json_and_else_a_text(text: str, value: Any) -> None:
    assert read_yaml(f"x: {text}", Report()).value == {"x": value}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", 1), ("# nothing", 1), ("a: 1\n---\nb: 2", 2), ("a: !!python/object/apply:os.system [x]", 1), ("a: 1\nb: !thing x", 2),
        ("a: &a [1, *a]", 1), ("a: 1\nb: *c", 2), ("? [x]\n: y", 1), ("a: 1\n b: 2", 2), ("a: {", 2), ("\ta: 1", 1), ("[" * 100_000, 1),
        ("- " * 1_000 + "x", 1),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_with_its_line(text: str, line: int) -> None:
    with pytest.raises(NoYamlError, match=f"^line {line}: cannot be read as YAML: "):
        read_yaml(text, Report())


def test_aliases_that_would_fill_the_memory_cost_nothing(tmp_path: Path) -> None:
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{number}: &a{number} [{', '.join([f'*a{number - 1}'] * 10)}]" for number in range(1, 40)]
    assert len(refused(written(tmp_path, "\n".join(rows)))) == 40


def test_an_alias_stands_for_what_it_names(tmp_path: Path) -> None:
    text = "devices:\n  a: {addresses: [a.example], login: &login {username: ann, password: {credential: core}}}\n  b: {addresses: [b.example], login: *login}\n"
    document = read_file(written(tmp_path, text)).document
    assert document["devices"]["b"]["login"] == {"username": "ann", "password": {"credential": "core"}}


def test_a_file_that_cannot_be_read_is_said_so(tmp_path: Path) -> None:
    assert "No such file" in refused(tmp_path / "none")[0]
    assert "not UTF-8" in refused(written(tmp_path, b"a: \xff"))[0]
    assert read_file(written(tmp_path, b"\xef\xbb\xbfsites: {}")).document == {"sites": {}}
    with pytest.raises(SettingsError, match=r"a: stands twice"):
        read_entry(written(tmp_path, "a: 1\na: 2"))


def test_what_a_file_says_has_another_digest_when_the_file_has_changed(tmp_path: Path) -> None:
    first = read_file(written(tmp_path, "sites: {}"))
    assert read_file(written(tmp_path, "sites: {}")) == first
    assert read_file(written(tmp_path, "sites: {} ")).digest != first.digest


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), VALUES, max_size=3))
def test_what_is_written_is_read_as_the_same(value: dict[str, Any]) -> None:
    for only_ascii in (False, True):
        assert read_yaml(write_yaml(value, only_ascii=only_ascii), Report()).value == value


def test_an_inventory_that_is_shown_can_be_taken_back(tmp_path: Path) -> None:
    assert read_file(written(tmp_path, write_yaml(FULL))).document == FULL
