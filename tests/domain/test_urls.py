"""Risk: a URL is read as one host by who decides and as another by who connects, or carries what was never meant for a request."""

import pytest

from stepswitch.domain.devices import Device
from stepswitch.domain.step_types import InputSpec, StepSignature
from stepswitch.domain.urls import Url, joined, read_url
from stepswitch.domain.values import ValueType

SIGNATURE = StepSignature("X", "", (InputSpec("url", (ValueType.STRING,), ""),), url_input="url")


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://core.example.net", Url("http", "core.example.net", 80, "/")),
        ("HTTPS://Core.Example.NET:8443/a/b?c=d&e#f", Url("https", "core.example.net", 8443, "/a/b?c=d&e")),
        ("https://192.0.2.7?a=%C3%A9", Url("https", "192.0.2.7", 443, "/?a=%C3%A9")),
        ("http://[2001:DB8:0::1]:81/", Url("http", "2001:db8::1", 81, "/")),
        ("http://[::ffff:192.0.2.7]/", Url("http", "::ffff:c000:207", 80, "/")),
        ("http://gnb_7/x;y=(1),[2]", Url("http", "gnb_7", 80, "/x;y=(1),[2]")),
    ],
)
def test_a_url_says_where_it_leads(text: str, url: Url) -> None:
    assert read_url(text) == url
    assert read_url(str(url)) == url


@pytest.mark.parametrize(
    "text",
    [
        "", "core.example.org", "ftp://core/", "file:///etc/passwd", "http:/core/", "http:///path", "http://", "//core/", "http:core",
        "http://user@core/", "http://user:word@core/", "http://core@evil.example.org/", "http://core:80@evil.example.org/", "http://@core/",  # pragma: allowlist secret
        "http://2130706433/", "http://0x7f000001/", "http://0x7f.1/", "http://127.1/", "http://0177.0.0.1/", "http://127.0.0.01/",
        "http://127.0.0.1./", "http://1.2.3.4.5/", "http://256.0.0.1/", "http://core.0x7/", "http://0/", "http://0x/",
        "http://[fe80::1%25eth0]/", "http://[fe80::1%eth0]/", "http://[127.0.0.1]/", "http://[::1/", "http://::1/", "http://[]/",
        "http://core:0/", "http://core:65536/", "http://core:port/", "http://core:80:81/", "http://core: 80/", "http://core:８０/",
        "http://core\\@evil.example.org/", "http://core%2eexample.net/", "http://ⓒore/", "http://１２７.0.0.1/", "http://core.example.net./",
        "http://-core/", "http://core-/", "http://a..b/", "http://.core/", f"http://{'a' * 64}/", f"http://{'a.' * 127}aa/",
        " http://core/", "http://core/ ", "http://core/\n", "http://core/\r\nX: y", "http://core/a b", "http://core/é", "http://core/%zz",
        "http://core/%", 'http://core/"', "http://core/<", "http://core/\\", "http://core/{x}", "http://co\tre/", "http://core/\0",
        f"http://core/{'a' * 8192}",
    ],
)  # fmt: skip
def test_what_two_readers_could_read_differently_is_no_url(text: str) -> None:
    with pytest.raises(ValueError, match=r"^(is|has) ") as refused:
        read_url(text)
    assert len(text) < 12 or text not in str(refused.value)
    assert SIGNATURE.target({"url": text}) is None


def test_a_scheme_that_nobody_speaks_here_is_named_as_what_is_wrong() -> None:
    with pytest.raises(ValueError, match="has another scheme than http and https"):
        read_url("ftp://core/")


@pytest.mark.parametrize(
    ("location", "where"),
    [
        ("https://other/x", "https://other/x"),
        ("HTTP://other:81", "http://other:81/"),
        ("//other/x", "http://other/x"),
        ("/x?y", "http://core:81/x?y"),
        ("x", "http://core:81/a/x"),
        ("?z=1", "http://core:81/a/b?z=1"),
        ("../x", "http://core:81/a/../x"),
    ],
)
def test_a_redirect_is_read_as_a_url_is(location: str, where: str) -> None:
    assert str(joined(read_url("http://core:81/a/b?c"), location)) == where


@pytest.mark.parametrize("location", ["http://user@other/", "//0x7f.1/", "javascript:x", "ftp://other/", "/a b", "//other:0", "http:x"])
def test_a_redirect_to_what_is_no_url_leads_nowhere(location: str) -> None:
    with pytest.raises(ValueError, match=r"^(is|has) "):
        joined(read_url("http://core/"), location)


def test_the_device_of_a_url_is_its_host_and_port_as_they_are_connected_to() -> None:
    assert SIGNATURE.target({"url": "HTTPS://Core/x"}) == Device("core", 443)
    assert str(SIGNATURE.target({"url": "http://192.0.2.7:81"})) == "192.0.2.7:81"
    assert (SIGNATURE.target({}), SIGNATURE.target({"url": 7})) == (None, None)
    assert SIGNATURE.device_inputs == ("url",)


def test_a_url_is_shown_without_its_query() -> None:
    url = read_url("https://core/a?token=abcd")
    assert url.shown == "https://core/a?…"
    assert "abcd" not in repr(url)
