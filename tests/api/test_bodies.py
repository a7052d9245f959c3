"""Risk: a body that is no proper JSON crashes, hangs or is half understood."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepswitch.api.wire.bodies import parse_json
from stepswitch.domain.errors import InvalidRequestError
from stepswitch.domain.readers import MAX_LISTED
from tests.api.house import House, codes, messages
from tests.domain.documents import example

OPERATIONS = ("workflow", "workflowExecution")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "the body is empty; send a JSON object"),
        (b" ", "line 1, column 1"),
        (b"{", "line 1, column 2"),
        (b'{"a":1,}', "line 1, column 7"),
        (b'{\n  "a": 1,\n  b\n}', "line 3, column 3"),
        (b"{'a':1}", "line 1, column 2"),
        (b'{"a":NaN}', "line 1, column 6"),
        (b'{"a":Infinity}', "line 1, column 6"),
        (b'{"a":-Infinity}', "line 1, column"),
        (b'{"a":1e999}', "line 1, column 6"),
        (b'{"a":' + b"1" * 100_000 + b"}", "line 1, column 6"),
        (b'{"a":"\\ud800"}', "line 1, column"),
        (b'{"\\udc00":1}', "line 1, column"),
        (b'{"a":"\xff"}', "line 1, column 7: this is no UTF-8"),
        ('{\n"ä": "'.encode() + b'\xff"}', "line 2, column 7: this is no UTF-8"),
        (b'{"a":"\xed\xa0\x80"}', "line 1, column"),
        (b'{"a":"\x00"}', "line 1, column"),
        (b"\x00", "line 1, column 1"),
        ('{"a":1}'.encode("utf-16"), "line 1, column 1"),
        (b'{"a":1}{"a":1}', "line 1, column 8"),
        (b"<a/>", "line 1, column 1"),
    ],
)
async def test_malformed_json_is_400_with_its_place(house: House, root: str, operation: str, body: bytes, said: str) -> None:
    answer = await house.client.put(f"{root}/{operation}", content=body)
    assert (answer.status_code, codes(answer)) == (400, ["MALFORMED_JSON"])
    assert messages(answer)[0].startswith(said)
    assert len(answer.content) < 1_000


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(
    "body",
    [b"[" * 1_000 + b"]" * 1_000, b"[" * 10_000_000, b'{"a":' * 1_000_000, b"[" * 65 + b"]" * 65, b'{"a":' + b"[" * 64 + b"]" * 64 + b"}"],
)
async def test_a_deep_body_is_400(house: House, root: str, operation: str, body: bytes) -> None:
    answer = await house.client.put(f"{root}/{operation}", content=body)
    assert (answer.status_code, codes(answer)) == (400, ["TOO_DEEP"])


def test_sixty_four_levels_are_read() -> None:
    assert parse_json(b"[" * 64 + b"]" * 64)


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_a_name_that_stands_twice_is_400(house: House, root: str, operation: str) -> None:
    body = b'{"workflowId": "a", "context" : {"x": 1, "y": [{"\\u007a": 1, "z"\n: 2}]}, "workflowId": "b"}'
    answer = await house.client.put(f"{root}/{operation}", content=body)
    assert (answer.status_code, set(codes(answer))) == (400, {"MALFORMED_JSON"})
    assert {message.partition(": ")[0] for message in messages(answer)} == {"workflowId", "context.y[0].z"}


@given(st.dictionaries(st.text(), JSON))
def test_whatever_is_json_is_read_as_it_is(value: dict[str, Any]) -> None:
    text = json.dumps(value, ensure_ascii=True)
    try:
        read = parse_json(text.encode())
    except InvalidRequestError:
        assert "\\ud" in text
    else:
        assert read == value or "e" in text or any(len(digits) > 17 for digits in text.split())


@pytest.mark.parametrize("text", ['{"a": "\\": 1"}', '{"a\\\\": ": \\" : "}', '{"a": "x\\":", "b\\"": 2}'])
def test_what_only_looks_like_a_name_is_none(text: str) -> None:
    assert parse_json(text.encode()) == json.loads(text)


async def test_a_byte_order_mark_is_let_pass(house: House, root: str) -> None:
    answer = await house.client.put(f"{root}/workflow", content=b"\xef\xbb\xbf" + json.dumps(example()).encode())
    assert answer.status_code == 200


@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8", 'Application/JSON;charset="UTF-8"', None])
async def test_json_is_taken_with_its_content_type_or_none(house: House, root: str, kind: str | None) -> None:
    headers = {} if kind is None else {"Content-Type": kind}
    answer = await house.client.put(f"{root}/workflow", content=json.dumps(example()), headers=headers)
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/xml", "multipart/form-data; boundary=x", "", "application/json; charset=latin-1"]
)
async def test_another_content_type_is_400(house: House, root: str, kind: str) -> None:
    answer = await house.client.put(f"{root}/workflow", content=json.dumps(example()), headers={"Content-Type": kind})
    assert (answer.status_code, codes(answer)) == (400, ["UNKNOWN_HEADER_VALUE"])
    assert messages(answer)[0].startswith("Content-Type: ")
    assert not house.catalogue_store.workflows


async def test_a_body_over_the_limit_is_413() -> None:
    house = House(body_limit_bytes=1_000)
    async with house.client:
        exact = await house.client.put("/telco/api/workflows/workflow", content=b"x" * 1_000)
        assert exact.status_code == 400
        for content in (b"x" * 1_001, _chunks(1_001), _chunks(10_000_000)):
            answer = await house.client.put("/telco/api/workflows/workflow", content=content)
            assert (answer.status_code, codes(answer)) == (413, ["BODY_TOO_LARGE"])
            assert messages(answer) == ["the body is over the limit of 1000 bytes"]
            assert answer.headers["connection"] == "close"


async def test_what_comes_after_the_limit_is_dropped_within_bounds() -> None:
    house = House(body_limit_bytes=1_000)
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield b"x" * 1_000_000

    async with house.client:
        answer = await house.client.put("/telco/api/workflows/workflow", content=endless())
    assert (answer.status_code, codes(answer)) == (413, ["BODY_TOO_LARGE"])
    assert 16 <= taken <= 19


async def _chunks(size: int) -> AsyncIterator[bytes]:
    for start in range(0, size, 100):
        yield b"x" * min(100, size - start)


@pytest.mark.parametrize("length", ["-1", "abc", "1.5", "", "1" * 40, "0x10", "+5", "²"])
async def test_a_length_that_is_no_number_is_400(house: House, length: str) -> None:
    headers = {b"Content-Length": length.encode("latin-1")}
    answer = await house.client.put("/telco/api/workflows/workflow", content=b"{}", headers=headers)
    assert (answer.status_code, codes(answer)) == (400, ["UNKNOWN_HEADER_VALUE"])


async def test_a_million_unknown_fields_are_counted_and_not_all_listed(house: House, root: str) -> None:
    body = json.dumps(dict.fromkeys(map(str, range(500_000)))).encode()
    answer = await house.client.put(f"{root}/workflowExecution", content=body)
    assert answer.status_code == 400
    assert len(answer.json()["errors"]) == MAX_LISTED + 1
    assert messages(answer)[-1] == f"and {500_000 + 2 - MAX_LISTED} more"


async def test_of_many_faults_in_shape_and_meaning_the_rest_of_each_is_counted(house: House) -> None:
    workflow_id = await house.put_workflow(example())
    body = {"workflowId": workflow_id, "contextType": "NONE", **dict.fromkeys(map(str, range(5_000)))}
    assignments = dict.fromkeys((f"i{number}" for number in range(7_000)), 1)
    answer = await house.client.put("/telco/api/workflows/workflowExecution", json={**body, "assignments": assignments})
    rest = [message for message in messages(answer) if message.startswith("and ")]
    assert rest == [f"and {5_000 - MAX_LISTED} more", f"and {7_000 + 2 - MAX_LISTED} more"]


@pytest.mark.parametrize("operation", OPERATIONS)
@settings(max_examples=25)  # each opens a house of its own; more are made up by tests/fuzz
@given(data=st.data())
async def test_nothing_that_is_sent_is_our_fault(operation: str, data: st.DataObject) -> None:
    house = House()
    workflow_id = await house.put_workflow(example())
    fields = st.sampled_from(
        ["workflowId", "contextType", "context", "assignments", "attachments", "debugStepIds", "retainedTil", "pauseAtFailure"]
    )
    values = JSON | st.just(workflow_id) | st.just("NONE") | st.dictionaries(st.sampled_from(["host", "pw", "mode"]), JSON)
    request = data.draw(st.dictionaries(fields | st.sampled_from(list(example())), values))
    answer = await house.client.put(f"/telco/api/workflows/{operation}", content=json.dumps(request))
    assert answer.status_code in (200, 400, 404)
    if answer.status_code == 400:
        assert messages(answer)
