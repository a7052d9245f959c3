"""Risk: somebody who is no administrator decides whom the service trusts, or the wrong key is trusted."""

import pytest

from stepswitch.api.wire import host_key_models
from stepswitch.steps.host_keys import fingerprint
from tests.api.house import KEY, NOW_TEXT, USER_TOKEN, House, codes, messages

PATH = "/stepswitch/api/v1/host-keys"


@pytest.mark.parametrize(("method", "path"), [("GET", PATH), ("POST", PATH), ("DELETE", PATH), ("POST", f"{PATH}/scan")])
async def test_only_administrators_may(house: House, method: str, path: str) -> None:
    answer = await house.client.request(method, path, headers={"x-hm-authorization": USER_TOKEN})
    assert (answer.status_code, answer.content, answer.headers["x-error-code"]) == (403, b"", "NOT_PERMITTED")


@pytest.mark.parametrize(
    "order", [{"publicKey": f"{KEY} somebody@somewhere"}, {"fingerprint": fingerprint(KEY)}, {"fingerprint": f"{fingerprint(KEY)}= "}]
)
async def test_a_key_is_trusted_listed_and_forgotten(house: House, order: dict[str, str]) -> None:
    trusted = await house.client.post(PATH, json={"host": "192.0.2.1", **order})
    expected = {
        "host": "192.0.2.1", "port": 22, "publicKey": KEY, "fingerprint": fingerprint(KEY), "addedBy": "admin", "addedAt": NOW_TEXT,
    }  # fmt: skip
    assert (trusted.status_code, trusted.json()) == (200, expected)
    host_key_models.TrustedHostKey.model_validate(trusted.json())
    assert (await house.client.get(PATH)).json() == [expected]
    assert (await house.client.delete(f"{PATH}?host=192.0.2.1&port=2222")).status_code == 404
    forgotten = await house.client.delete(f"{PATH}?host=192.0.2.1&port=22")
    assert (forgotten.status_code, forgotten.content) == (204, b"")
    assert (await house.client.get(PATH)).json() == []


async def test_a_scan_trusts_nothing(house: House) -> None:
    answer = await house.client.post(f"{PATH}/scan", json={"host": "192.0.2.1", "port": 2222})
    assert (answer.status_code, answer.json()) == (200, [{"publicKey": KEY, "fingerprint": fingerprint(KEY)}])
    assert not house.host_keys.keys


@pytest.mark.parametrize(
    ("order", "place", "code"),
    [
        ({}, "host", "MISSING_FIELD"),
        ({"host": "h"}, "give either", "MISSING_FIELD"),
        ({"host": "h", "publicKey": KEY, "fingerprint": "x"}, "give either", "MISSING_FIELD"),
        ({"host": "h", "publicKey": "ssh-ed25519 AAAA"}, "publicKey", "INVALID_VALUE"),
        ({"host": "h", "fingerprint": "SHA256:other"}, "fingerprint", "WRONG_HOST_KEY"),
        ({"host": "192.0.2.99", "fingerprint": "x"}, "host", "UNREACHABLE"),
        ({"host": "a b", "publicKey": KEY}, "host", "INVALID_VALUE"),
        ({"host": "", "publicKey": KEY}, "host", "INVALID_VALUE"),
        ({"host": "h\x00", "publicKey": KEY}, "host", "INVALID_VALUE"),
        ({"host": "h", "port": "22", "publicKey": KEY}, "port", "WRONG_TYPE"),
        ({"host": "h", "port": 0, "publicKey": KEY}, "port", "INVALID_VALUE"),
        ({"host": "h", "port": 65_536, "publicKey": KEY}, "port", "INVALID_VALUE"),
        ({"host": "h", "key": KEY}, "key", "UNKNOWN_FIELD"),
    ],
)
async def test_a_wrong_order_trusts_nothing(house: House, order: dict[str, object], place: str, code: str) -> None:
    answer = await house.client.post(PATH, json=order)
    assert answer.status_code == 400
    assert codes(answer)[0] == code
    assert messages(answer)[0].startswith(place)
    assert not house.host_keys.keys


@pytest.mark.parametrize("query", ["", "?port=22", "?host=h&port=x", "?host=h&port=99999", "?host=h&x=1", "?host=h&port=²"])
async def test_a_query_that_names_no_server_is_400(house: House, query: str) -> None:
    assert (await house.client.delete(PATH + query)).status_code == 400
