"""Redirects of the step type HTTP. Risk: a login, or what changes something, goes to a server that the step does not name."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from stepswitch.plugin import ErrorCode, Networks, Outcome, Result
from stepswitch.steps.http import MOST_REDIRECTS, HttpStep
from tests.steps.contexts import RecordingContext
from tests.steps.http_server import HttpServer, reply

WORD = "a-word-that-nobody-may-read"


@pytest_asyncio.fixture
async def server() -> AsyncIterator[HttpServer]:
    async with HttpServer() as opened:
        opened.on("/end", reply(200, b"here"))
        yield opened


@pytest_asyncio.fixture
async def other() -> AsyncIterator[HttpServer]:
    async with HttpServer() as opened:
        opened.on("/end", reply(200, b"there"))
        yield opened


async def run(url: str, **more: str | bool) -> Outcome:
    async with asyncio.timeout(20):
        step = HttpStep(networks=Networks.read(allowed="127.0.0.0/8,::1"))
        return await step.run({"url": url, "followRedirects": True, **more}, RecordingContext())


async def test_without_being_asked_none_is_followed(server: HttpServer) -> None:
    outcome = await run(server.on("/", reply(302, location="/end?token=abcd")), followRedirects=False)
    assert outcome.error is not None
    assert outcome.error.code is ErrorCode.UNEXPECTED_STATUS
    assert "302 x, which leads to /end, where" in outcome.error.message
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_what_only_looks_goes_on_with_its_login_at_the_same_server(server: HttpServer, status: int) -> None:
    outcome = await run(server.on("/", reply(status, location="/end")), bearerToken=WORD, headers=json.dumps({"X": "y"}))
    assert (outcome.outputs["body"], outcome.outputs["url"]) == ("here", server.url("/end"))
    assert [(each.method, each.header("authorization"), each.header("x")) for each in server.asked] == [("GET", f"Bearer {WORD}", "y")] * 2


async def test_another_server_is_told_nothing_that_was_meant_for_the_first_not_even_on_the_way_back(
    server: HttpServer, other: HttpServer
) -> None:
    first = server.on("/", reply(302, location=other.url("/back")))
    other.on("/back", reply(302, location="/more"))
    other.on("/more", reply(302, location=server.url("/end")))
    outcome = await run(first, username="ann", password=WORD, headers=json.dumps({"X-Key": WORD, "Cookie": WORD}), body=WORD)
    assert outcome.outputs["body"] == "here"
    for asked in (*other.asked, server.asked[1]):
        assert WORD not in str(asked.headers)
        assert {"authorization", "x-key", "cookie", "content-type"}.isdisjoint(name for name, _ in asked.headers)
        assert asked.body == b""
    assert other.asked[0].header("host") == f"127.0.0.1:{other.port}"


@pytest.mark.parametrize("status", [307, 308])
async def test_what_changes_something_is_sent_again_at_the_same_server_only(server: HttpServer, other: HttpServer, status: int) -> None:
    outcome = await run(server.on("/", reply(status, location="/end")), method="POST", body="x")
    assert (outcome.outputs["body"], [(each.method, each.body) for each in server.asked]) == ("here", [("POST", b"x")] * 2)
    outcome = await run(server.on("/", reply(status, location=other.url("/end"))), method="POST", body="x")
    assert (outcome.result, outcome.outputs["statusCode"], other.connections) == (Result.FAILED, status, 0)


@pytest.mark.parametrize("status", [301, 302, 303])
async def test_what_may_have_been_done_is_not_asked_for_again(server: HttpServer, status: int) -> None:
    url = server.on("/", reply(status, location="/end"))
    assert (await run(url, method="POST", body="x")).outputs["statusCode"] == status
    assert (await run(url, method="POST", body="x", expectedStatus=str(status))).result is Result.SUCCEEDED
    assert {each.target for each in server.asked} == {"/"}
    server.on("/", reply(status, location="ftp://nowhere/"))
    assert (await run(url, method="POST", body="x", expectedStatus=str(status))).result is Result.SUCCEEDED


async def test_redirects_without_end_end(server: HttpServer) -> None:
    outcome = await run(server.on("/", reply(302, location="/")))
    assert outcome.error is not None
    assert (outcome.result, outcome.error.code) == (Result.FAILED, ErrorCode.UNEXPECTED_STATUS)
    assert len(server.asked) == MOST_REDIRECTS + 1


@pytest.mark.parametrize(
    "location", ["ftp://127.0.0.1/", "javascript:alert(1)", "http://ann:4711@127.0.0.1/", "http://2130706433/", "/a b", "http://"]
)
async def test_a_redirect_to_no_url_fails(server: HttpServer, location: str) -> None:
    outcome = await run(server.on("/", reply(302, location=location)))
    assert outcome.error is not None
    assert (outcome.result, outcome.error.code) == (Result.FAILED, ErrorCode.UNEXPECTED_STATUS)
    assert "4711" not in outcome.error.message
    assert len(server.asked) == 1


async def test_a_redirect_without_a_place_is_an_answer(server: HttpServer) -> None:
    assert (await run(server.on("/", reply(302)), expectedStatus="302")).result is Result.SUCCEEDED
