"""Risk: a door is open without a login, an error says too much or too little, a status has a body that its page denies it."""

import httpx
import pytest
from fastapi import FastAPI
from structlog.testing import capture_logs

from stepswitch.api.problems import answer as answer_to
from stepswitch.domain.errors import CommitInDoubtError, OverloadedError, StoreError, TransitionError, ValueMisfitError
from tests.api.house import ADMIN_TOKEN, NOW, PLAIN, USER_TOKEN, House, codes, messages
from tests.domain.documents import example

GUARDED = [
    ("PUT", "/telco/api/workflows/workflow"),
    ("GET", "/telco/api/workflows/workflow/x"),
    ("PUT", "/telco/api/workflows/workflowExecution"),
    ("GET", "/telco/api/workflows/workflowExecution/x"),
    ("PUT", "/tca/workflows/api/v1/orgs/default/workflow"),
    ("GET", "/tca/workflows/api/v1/orgs/default/workflow/x"),
    ("PUT", "/tca/workflows/api/v1/orgs/default/workflowExecution"),
    ("GET", "/tca/workflows/api/v1/orgs/default/workflowExecution/x"),
    ("DELETE", "/hybridity/api/sessions"),
    ("DELETE", "/hybridity/api/session"),
    ("GET", "/stepswitch/api/v1/host-keys"),
    ("POST", "/stepswitch/api/v1/host-keys"),
    ("DELETE", "/stepswitch/api/v1/host-keys"),
    ("POST", "/stepswitch/api/v1/host-keys/scan"),
]


@pytest.mark.parametrize(("method", "path"), GUARDED)
@pytest.mark.parametrize(
    "headers",
    [{}, {"x-hm-authorization": "wrong"}, {"x-hm-authorization": ""}, {"Authorization": "Basic YTpi"}, {"Authorization": "Bearer"},
     {"Authorization": f"Basic {ADMIN_TOKEN}"}, {"x-hm-authorization": b"\xff"}],
)  # fmt: skip
async def test_without_a_good_token_every_operation_is_401(house: House, method: str, path: str, headers: dict[str, str]) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(house.app), base_url="http://house") as client:
        answer = await client.request(method, path, headers=headers)
    assert (answer.status_code, answer.content) == (401, b"")
    assert answer.headers["www-authenticate"] == 'Bearer realm="stepswitch"'
    assert answer.headers["x-error-code"] == "NOT_AUTHENTICATED"


@pytest.mark.parametrize(
    "headers",
    [{"x-hm-authorization": ADMIN_TOKEN}, {"Authorization": f"Bearer {ADMIN_TOKEN}"}, {"Authorization": f"bearer  {ADMIN_TOKEN}"}],
)
async def test_a_token_is_taken_in_both_headers(house: House, headers: dict[str, str]) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(house.app), base_url="http://house") as client:
        assert (await client.get("/stepswitch/api/v1/host-keys", headers=headers)).status_code == 200


@pytest.mark.parametrize("path", ["/hybridity/api/sessions", "/hybridity/api/session"])
async def test_login_and_logout(house: House, path: str) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(house.app), base_url="http://house") as client:
        answer = await client.post(path, json={"username": "admin", "password": "correct horse"})
        assert (answer.status_code, answer.headers["x-hm-authorization"], answer.headers["cache-control"]) == (200, ADMIN_TOKEN, "no-store")
        assert answer.json() == {
            "username": "admin", "tenantId": "default", "roles": ["System Administrator"], "expiresAt": "2030-03-17T17:46:40.251Z",
        }  # fmt: skip
        token = {"x-hm-authorization": answer.headers["x-hm-authorization"]}
        ended = await client.delete(path, headers=token)
        assert (ended.status_code, ended.content) == (204, b"")
        assert (await client.delete(path, headers=token)).status_code == 401


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"username": "admin", "password": "wrong"}, 401, []),
        ({"username": "\x00", "password": "\x00"}, 401, []),
        ({"username": "admin"}, 400, ["password: is required"]),
        ({"username": 1, "password": None, "x": 1}, 400, ["x: is no field that is known here", "password: is required", "username: a number is no string"]),
        ([], 400, ["an array is no request; send an object"]),
    ],
)  # fmt: skip
async def test_a_wrong_login(house: House, body: object, status: int, said: list[str]) -> None:
    answer = await house.client.post("/hybridity/api/sessions", json=body)
    assert answer.status_code == status
    assert "x-hm-authorization" not in answer.headers
    if status == 401:
        assert (answer.content, answer.headers["x-error-code"]) == (b"", "WRONG_CREDENTIALS")
    else:
        assert messages(answer) == said


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/telco/api/workflows",
        "/telco/api/workflows/",
        "/telco/api/workflows/workflow/",
        "/nosuch",
        "/tca/workflows/api/v1/orgs//workflow",
        "/docs/",
    ],
)
async def test_a_path_that_leads_nowhere_is_404_without_a_body(house: House, path: str) -> None:
    answer = await house.client.get(path)
    assert (answer.status_code, answer.content, answer.headers["x-error-code"]) == (404, b"", "NOT_FOUND")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/telco/api/workflows/workflowExecution", "GET, HEAD, POST, PUT"),
        ("OPTIONS", "/tca/workflows/api/v1/orgs/default/workflowExecution", "GET, HEAD, POST, PUT"),
        ("PUT", "/stepswitch/api/v1/host-keys", "DELETE, GET, HEAD, POST"),
        ("BREW", "/hybridity/api/sessions", "DELETE, POST"),
        ("PUT", "/docs", "GET, HEAD"),
    ],
)
async def test_a_method_that_a_path_does_not_know_is_405_without_a_body(house: House, method: str, path: str, allowed: str) -> None:
    answer = await house.client.request(method, path)
    assert (answer.status_code, answer.content, answer.headers["x-error-code"]) == (405, b"", "METHOD_NOT_ALLOWED")
    assert ", ".join(sorted(answer.headers["allow"].split(", "))) == allowed


async def test_a_fault_of_ours_is_500_with_a_reference_that_the_log_has_too(house: House, root: str) -> None:
    house.catalogue_store.failure = RuntimeError("parameters: hunter22")
    with capture_logs() as log:
        answer = await house.put_execution(root, workflowId="x", contextType="NONE")
    assert (answer.status_code, codes(answer), answer.headers["x-error-code"]) == (500, ["INTERNAL"], "INTERNAL")
    reference = answer.headers["x-request-id"]
    assert messages(answer) == [f"internal error; the log of the server says more under the reference {reference}"]
    (entry,) = log
    assert entry["reference"] == reference
    assert "builtins.RuntimeError\n" in entry["trace"]
    assert "house.py" in entry["trace"]
    assert "hunter22" not in str(entry)
    assert "Traceback" not in answer.text


async def test_our_own_errors_are_logged_with_their_message(house: House) -> None:
    error = TransitionError("a state has no such row")
    error.__cause__ = ValueError("hunter22")
    house.catalogue_store.failure = error
    with capture_logs() as log:
        answer = await house.client.get(f"{PLAIN}/workflow/x")
    assert (answer.status_code, codes(answer)) == (500, ["INTERNAL"])
    assert "TransitionError: a state has no such row" in log[0]["trace"]
    assert "builtins.ValueError" in log[0]["trace"]
    assert "hunter22" not in str(log)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (StoreError("the database cannot be written: database or disk is full"), "nothing was stored"),
        (CommitInDoubtError("nobody knows yet what is on disk"), "it may have been stored, or not"),
    ],
)
async def test_a_database_that_says_no_is_503_with_one_line_of_log(house: House, error: StoreError, said: str) -> None:
    house.catalogue_store.failure = error
    with capture_logs() as log:
        answer = await house.put_execution(workflowId="x", contextType="NONE")
    assert (answer.status_code, codes(answer), answer.headers["retry-after"]) == (503, ["STORE_UNAVAILABLE"], "5")
    assert said in messages(answer)[0]
    reference = answer.headers["x-request-id"]
    assert messages(answer)[0].endswith(reference)
    assert log == [{"event": "the store said no", "log_level": "error", "reference": reference, "error": str(error)}]


def test_an_error_while_looking_after_a_commit_in_doubt_is_in_doubt_too() -> None:
    error = StoreError("the database cannot be read")
    error.__context__ = CommitInDoubtError("nobody knows yet")
    assert b"it may have been stored" in bytes(answer_to(error, "r").body)


async def test_an_overload_is_503_and_says_when_to_come_back(house: House) -> None:
    house.catalogue_store.failure = OverloadedError("too much is waiting", retry_after=7)
    answer = await house.client.get(f"{PLAIN}/workflow/x")
    assert (answer.status_code, codes(answer), answer.headers["retry-after"]) == (503, ["OVERLOADED"], "7")


def test_a_value_that_does_not_fit_is_the_callers() -> None:
    assert answer_to(ValueMisfitError("x", "number"), "r").status_code == 400


async def test_an_answer_that_breaks_off_is_logged_and_the_connection_cut(house: House) -> None:
    async def broken(scope: object, receive: object, send: object) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})  # type: ignore[operator]
        raise RuntimeError("hunter22")

    app: FastAPI = house.app
    app.router.routes.clear()
    app.mount("/broken", broken)
    with capture_logs() as log, pytest.raises(RuntimeError):
        await house.client.get("/broken/")
    assert log[0]["event"] == "answer cut"
    assert "hunter22" not in str(log)


async def test_who_went_away_before_his_body_came_is_let_go(house: House) -> None:
    sent: list[object] = []

    async def gone() -> dict[str, str]:
        return {"type": "http.disconnect"}

    async def send(message: object) -> None:
        sent.append(message)

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "PUT", "scheme": "http", "path": f"{PLAIN}/workflow",
        "raw_path": f"{PLAIN}/workflow".encode(), "query_string": b"", "root_path": "", "server": ("house", 80), "client": ("x", 1),
        "headers": [(b"x-hm-authorization", ADMIN_TOKEN.encode())],
    }  # fmt: skip
    await house.app(scope, gone, send)
    assert not sent
    assert house.catalogue_store.workflows == {}


async def test_every_answer_has_a_request_id_of_its_own(house: House) -> None:
    names = [(await house.client.get(path)).headers["x-request-id"] for path in ("/docs", "/nosuch", f"{PLAIN}/workflow/x", "/docs")]
    assert len(set(names)) == 4


@pytest.mark.parametrize("given", ["7", "a/b:c-d_e.f~{}", "x" * 128], ids=len)
async def test_a_request_keeps_the_id_that_its_sender_gave(house: House, given: str) -> None:
    house.catalogue_store.failure = RuntimeError()
    with capture_logs() as log:
        answer = await house.client.get(f"{PLAIN}/workflow/x", headers={"x-request-id": given})
    assert answer.headers.get_list("x-request-id") == [given]
    assert messages(answer)[0].endswith(f"reference {given}")
    assert log[0]["reference"] == given


@pytest.mark.parametrize("given", [[b""], [b"x" * 129], [b"a b"], [b"a\xff"], [b"a\tb"], [b"one", b"two"]], ids=str)
async def test_an_id_that_cannot_be_one_is_replaced(house: House, given: list[bytes]) -> None:
    answer = await house.client.get(f"{PLAIN}/workflow/x", headers=[(b"x-request-id", each) for each in given])
    (shown,) = answer.headers.get_list("x-request-id")
    assert shown.startswith("id-")


@pytest.mark.parametrize(("state", "status"), [({"status": "ok"}, 200), ({"status": "no space left", "free": 0}, 503)])
async def test_health_needs_no_login(house: House, state: dict[str, object], status: int) -> None:
    house.state = state
    async with httpx.AsyncClient(transport=httpx.ASGITransport(house.app), base_url="http://house") as client:
        answer = await client.get("/stepswitch/api/v1/health")
        assert (answer.status_code, answer.json()) == (status, {"version": "1.2.3", **state})
        assert (await client.head("/stepswitch/api/v1/health")).status_code == status


async def test_reads_are_answered_to_everybody_who_is_logged_in(house: House, root: str) -> None:
    workflow_id = await house.put_workflow(example())
    answer = await house.client.get(f"{root}/workflow/{workflow_id}", headers={"x-hm-authorization": USER_TOKEN})
    assert answer.status_code == 200
    assert answer.json()["createdAt"].startswith("2030-")
    assert house.clock.now() == NOW


@pytest.mark.parametrize(
    "path", ["/stepswitch/api/v1/health", "/docs", "/telco/api/workflows/workflowExecution/x", "/nowhere", "/openapi.json"]
)
async def test_browsers_are_told_what_not_to_do_with_any_answer(house: House, path: str) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(house.app), base_url="http://house") as stranger:
        for client in (house.client, stranger):
            told = (await client.get(path)).headers
            assert (told["x-content-type-options"], told["x-frame-options"], told["referrer-policy"]) == ("nosniff", "DENY", "no-referrer")
            assert told["cache-control"] == "no-store"
            assert "strict-transport-security" not in told  # it would lock people out of a service without TLS


async def test_what_has_a_tag_may_be_kept_by_whoever_asked_for_it(house: House) -> None:
    made = await house.client.put(f"{PLAIN}/workflow", json=example())
    assert (await house.client.get(f"{PLAIN}/workflow/{made.json()['id']}")).headers.get_list("cache-control") == ["private, no-cache"]
