"""Risk: what somebody types as his name is read as a part of a filter or of the name of an entry, or two groups are taken for one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ldap3.operation.search import compile_filter, parse_filter

from stepswitch.access.directory_rules import DirectoryRules
from stepswitch.access.directory_text import escaped, read_name, text_of, value_of

NASTY = [
    "*",
    "(",
    ")",
    "\\",
    "\0",
    "a)(uid=*",
    "ann,ou=admins",
    "ann+cn=x",
    '"ann"',
    "#ann",
    " ann ",
    "a=b",
    "<ann>",
    ";",
    "é",
    "\\2a",
    "/",
    "ann\n",
    "𝕒",
]
RULES = DirectoryRules(
    user_dn="uid={username},ou=people,dc=net",
    user_filter="(&(uid={username})(!(uid=root)))",
    group_filter="(|(member={dn})(memberUid={username}))",
)


@pytest.mark.parametrize("typed", NASTY)
def test_what_is_typed_is_one_value_and_nothing_else(typed: str) -> None:
    assert set(escaped(typed)) <= set("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_.@\\")
    assert RULES.filter_of(typed).count("(") == RULES.user_filter.count("(")
    assert "*" not in RULES.filter_of(typed)


@given(st.text(max_size=30).filter(lambda text: not any("\ud800" <= each <= "\udfff" for each in text)))
def test_a_filter_asks_for_just_what_was_typed(typed: str) -> None:
    root = parse_filter(f"(uid={escaped(typed)})", None, False, False, None, False)  # type: ignore[no-untyped-call]
    sent = compile_filter(root.elements[0])  # type: ignore[no-untyped-call]
    if typed:
        assert bytes(sent["equalityMatch"]["assertionValue"]) == typed.encode()


@given(st.text(min_size=1, max_size=30).filter(lambda text: not any("\ud800" <= each <= "\udfff" for each in text)))
def test_a_name_of_an_entry_stays_where_it_belongs(typed: str) -> None:
    found = read_name(RULES.entry_of(typed))
    assert found is not None
    assert found[1:] == (frozenset({("ou", "people")}), frozenset({("dc", "net")}))
    assert found[0] == {("uid", " ".join(typed.split()).casefold())}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("cn=NOC  Shift,ou=Groups,dc=net", "CN=noc shift, OU=groups ,DC=net"),
        (r"cn=a\2cb,dc=net", r"cn=a\,b,dc=net"),
        ("cn=a+uid=b,dc=net", "uid=B + cn=A,dc=net"),
        (r"cn=\c3\a9,dc=net", "cn=É,dc=net"),
    ],
)
def test_names_are_the_same_whatever_their_case_blanks_and_escapes(one: str, other: str) -> None:
    assert read_name(one) == read_name(other) is not None


@pytest.mark.parametrize(
    ("one", "other"), [(r"cn=a\,ou=b,dc=net", "cn=a,ou=b,dc=net"), ("cn=a,dc=net", "cn=a,ou=x,dc=net"), ("cn=a", "uid=a")]
)
def test_names_that_differ_are_told_apart(one: str, other: str) -> None:
    assert read_name(one) != read_name(other)


@pytest.mark.parametrize("text", ["", "noc", "=x", "cn=a,", "cn=a,,dc=net", 'cn="a",dc=net', "cn=a\\"])
def test_what_is_no_name_is_none(text: str) -> None:
    assert read_name(text) is None


def test_a_group_is_called_by_its_own_name_only_where_the_settings_say_that_groups_are() -> None:
    rules = DirectoryRules(
        group_base="ou=groups,dc=net", roles={"admins": ("System Administrator",), "cn=shift,ou=teams,dc=net": ("operations",)}
    )
    assert rules.roles_of(["cn=Admins,ou=Groups,dc=net"]) == ("System Administrator",)
    assert rules.roles_of(["cn=admins,ou=mine,ou=groups,dc=net", "cn=admins,ou=people,dc=net", "cn=admins,dc=net"]) == ()
    assert rules.roles_of(["CN=shift,ou=teams,dc=net", "cn=shift,ou=groups,dc=net"]) == ("Operations",)
    assert rules.roles_of(["uid=x+cn=admins,ou=groups,dc=net", "no name at all"]) == ()


@given(st.binary(max_size=40))
def test_an_id_of_any_bytes_is_kept_as_text_and_found_again(value: bytes) -> None:
    assert value_of(text_of(value)) == value
    assert text_of(value).isprintable()
