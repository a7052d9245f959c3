"""Risk: of two people who steer the same execution at once, one is told what is not so, or his act counts for a state that he never saw.

Every act meets every other, in each state where people act: both have read the same when the first one is saved.
"""

import asyncio
import hashlib
import itertools
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from stepswitch.domain.execution import Head
from stepswitch.engine.privileges import ADMINISTRATOR
from stepswitch.engine.records import Account, Session
from stepswitch.storage.accounts import SqlAccountStore
from tests.api.steered import OWN, Body, Desk, open_desk, refused, said, shown
from tests.domain.documents import document

ONE, OTHER = "admin", "bob"
SOURCE: Final = document(
    startStepId="a",
    inputs={"must": {"type": "string"}},
    variables={"x": {"type": "string"}},
    steps={
        "a": {"type": "NEED", "nextStepId": "b", "inBindings": {"must": {"type": "string", "exportName": "must"}}},
        "b": {"type": "ACT"},
    },
)
"""Its first step fails by itself: it lacks what it needs."""


@dataclass(frozen=True)
class Act:
    """What somebody does. `left` finds its effect.

    It `is_for_any_state` where it means the same whatever the execution has come to; otherwise it may at most come after one of `after`.
    """

    method: str
    path: str
    body: Callable[[str], Any] | None = None
    is_for_any_state: bool = False
    left: Callable[[Body, str], bool] = lambda body, user: bool(traces(body, user))
    after: tuple[str, ...] = ()


def kept_until(user: str) -> str:
    return f"2031-01-0{1 + (ONE, OTHER).index(user)}T00:00:00.000Z"


def breakpoints(user: str) -> list[str]:
    return ["b"] if user == ONE else ["a", "b"]


PLACE: Final = "{root}/workflowExecution/{id}"
WRITES_WHAT_WAS_SEEN: Final = "back to the catalogue"
"""Whatever the other one does: the steps that were read go there, and the execution stays as it is."""
ACTS: Final = {
    "resume": Act("POST", f"{PLACE}/resume"),
    "retry": Act("POST", f"{PLACE}/retry"),
    "abort": Act("POST", f"{PLACE}/abort", is_for_any_state=True, left=lambda body, _: body["aborted"]),
    "pause": Act("POST", OWN + "/{id}/pause", is_for_any_state=True),
    "breakpoints": Act(
        "PATCH", PLACE, lambda user: {"debugStepIds": breakpoints(user)}, is_for_any_state=True,
        left=lambda body, user: body["debugStepIds"] == breakpoints(user),
    ),
    "retention": Act(
        "PATCH", PLACE, lambda user: {"retainedTil": kept_until(user)}, is_for_any_state=True,
        left=lambda body, user: body["retainedTil"] == kept_until(user),
    ),
    "steps": Act(
        "PATCH", PLACE, lambda user: {"steps": {"b": {"type": "ACT", "description": user}}},
        left=lambda body, user: body["workflow"]["steps"]["b"].get("description") == user,
    ),
    "start step": Act("PATCH", PLACE, lambda _: {"startStepId": "b"}),
    "values": Act("POST", OWN + "/{id}/values", lambda user: {"values": {"x": user}}),
    "new file": Act("FILE", f"{PLACE}/attachments", lambda user: user, is_for_any_state=True, left=lambda body, user: user in body["attachments"]),
    "the same file": Act("FILE", f"{PLACE}/attachments", lambda _: "there", after=("no file",)),
    "no file": Act("DELETE", f"{PLACE}/attachments?attachmentId=there"),
    WRITES_WHAT_WAS_SEEN: Act("POST", f"{PLACE}/updateWorkflow", is_for_any_state=True),
    "delete": Act("DELETE", PLACE),
}  # fmt: skip
REOPENING: Final = frozenset({"retry", "delete", "start step"})
"""What is otherwise in an execution that has failed, and not only paused."""


def pairs(*, pause_at_failure: bool) -> list[tuple[str, str]]:
    """Return every two acts, the same one twice too; now the one comes first, now the other."""
    found = [*itertools.combinations_with_replacement(ACTS, 2)]
    found = [(other, one) if turn % 2 else (one, other) for turn, (one, other) in enumerate(found)]
    return [pair for pair in found if pause_at_failure or not REOPENING.isdisjoint(pair)]


def traces(body: Body, user: str) -> list[str]:
    """Return what the log says that somebody did since everything was ready."""
    lines = [line["msg"] for line in body["logs"]]
    ready = max(place for place, line in enumerate(lines) if "ready" in line)
    return [line for line in lines[ready + 1 :] if re.search(f" by {user}($| while )", line)]


@dataclass
class Gate:
    """Lets the first two who have read an execution go on when both have."""

    both: asyncio.Barrier = field(default_factory=lambda: asyncio.Barrier(2))
    readers: Iterator[int] = field(default_factory=itertools.count)

    async def go_through(self) -> None:
        if next(self.readers) < 2:
            await self.both.wait()


@dataclass
class Room:
    """Two operators and the execution that both look at."""

    desk: Desk
    pause_at_failure: bool
    tokens: Mapping[str, str]
    gates: dict[str, Gate] = field(default_factory=dict)

    async def execution(self) -> str:
        """Return an execution whose first step has failed, with edited steps and a file of its own."""
        desk = self.desk
        execution = await desk.queue(source=SOURCE, pauseAtFailure=self.pause_at_failure)
        await desk.until(execution, "PAUSED" if self.pause_at_failure else "FAILED")
        await self.do("the same file", execution, ONE)
        edit = {"steps": {"b": {"type": "ACT", "description": "edited"}}}
        shown(await desk.client.patch(desk.place(execution), json=edit, headers={"x-stepswitch-reason": "ready"}))
        return execution

    async def do(self, name: str, execution: str, user: str, tag: str | None = None) -> httpx.Response:
        act = ACTS[name]
        path = act.path.format(root=self.desk.root, id=execution)
        headers = {"x-hm-authorization": self.tokens[user]} | ({} if tag is None else {"If-Match": tag})
        body = None if act.body is None else act.body(user)
        if act.method == "FILE":
            return await self.desk.client.post(path, files={"file": (body, user.encode())}, headers=headers)
        return await self.desk.client.request(act.method, path, json=body, headers=headers)

    async def do_both(self, pair: tuple[str, str], execution: str, tag: str | None = None) -> tuple[httpx.Response, httpx.Response]:
        """Let two people act on what both of them have read."""
        self.gates[execution] = Gate()
        one, other = await asyncio.gather(self.do(pair[0], execution, ONE, tag), self.do(pair[1], execution, OTHER, tag))
        return one, other

    async def look(self, execution: str) -> Body | None:
        answer = await self.desk.client.get(self.desk.place(execution))
        return None if answer.status_code == 404 else shown(answer)

    async def tag(self, execution: str) -> str:
        return str((await self.desk.client.get(self.desk.place(execution), params={"fields": "status"})).headers["etag"])

    async def clear(self, execution: str) -> None:
        await self.desk.ask(execution, "abort")


@pytest.fixture(params=[True, False], ids=["paused", "failed"])
async def room(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Room]:
    async with open_desk(tmp_path) as desk:
        token = "b" * 43
        account = Account(OTHER, "default", "no hash", (ADMINISTRATOR,))
        store = SqlAccountStore(desk.house.service._database)
        await store.put_account(account)
        expires_at = desk.house.clock.now() + 10**9
        hashed = hashlib.sha256(token.encode()).hexdigest()
        await store.put_session(Session(hashed, OTHER, "default", account.roles, expires_at, account.credential))
        room = Room(desk, request.param, {ONE: desk.client.headers["x-hm-authorization"], OTHER: token})
        conductor = desk.house.service.conductor
        read = conductor.head

        async def read_together(execution_id: str) -> Head | None:
            head = await read(execution_id)
            if execution_id in room.gates:
                await room.gates[execution_id].go_through()
            return head

        monkeypatch.setattr(conductor, "head", read_together)
        yield room


def was_done(answer: httpx.Response) -> bool:
    """Return whether it was; what was not says why in a way that is true whatever the other one did."""
    if answer.status_code == 400:
        assert refused(answer)[0] in {"MOVED_ON", "STATE_CONFLICT"}, answer.text
    assert answer.status_code in {200, 204, 400, 404, 412}, answer.text
    return answer.is_success


async def test_each_of_two_gets_an_answer_that_is_true_and_nothing_is_done_to_a_state_that_nobody_saw(room: Room) -> None:
    async def act(pair: tuple[str, str]) -> bool:
        """Return whether both were heard."""
        execution = await room.execution()
        answers = await room.do_both(pair, execution)
        body = await room.look(execution)
        done = [was_done(answer) for answer in answers]
        if body is None:
            assert "delete" in pair, pair
            return False
        lines = [traces(body, user) for user in (ONE, OTHER)]
        for name, user, answer, is_done, own in zip(pair, (ONE, OTHER), answers, done, lines, strict=True):
            assert answer.status_code in {200, 204, 400}, (pair, answer)
            assert is_done or not own, (pair, user, own)
            assert is_done or name == "abort" or not ACTS[name].left(body, user), (pair, user)
            if is_done and own and "stepExecutions" in answer.text:
                assert said(answer.json(), own[0]), (pair, user)
        if all(lines):
            log = [line["msg"] for line in body["logs"]]
            second = int(log.index(lines[1][0]) > log.index(lines[0][0]))
            later, earlier = ACTS[pair[second]], pair[1 - second]
            assert later.is_for_any_state or earlier in later.after, pair
            assert later.left(body, (ONE, OTHER)[second]), pair
        await room.clear(execution)
        return all(lines)

    both_done = await asyncio.gather(*(act(pair) for pair in pairs(pause_at_failure=room.pause_at_failure)))
    assert sum(both_done) >= 5


async def test_of_two_who_say_what_they_saw_one_is_heard(room: Room) -> None:
    async def act_alone(name: str) -> bool:
        """Return whether it changes something."""
        execution = await room.execution()
        answer = await room.do(name, execution, ONE, await room.tag(execution))
        body = await room.look(execution)
        await room.clear(execution)
        return was_done(answer) and (body is None or bool(traces(body, ONE)))

    changing = dict(zip(ACTS, await asyncio.gather(*map(act_alone, ACTS)), strict=True))
    assert sum(changing.values()) >= 9, changing

    async def act(pair: tuple[str, str]) -> None:
        execution = await room.execution()
        answers = await room.do_both(pair, execution, await room.tag(execution))
        body = await room.look(execution)
        if all(changing[name] for name in pair):
            assert sorted(was_done(answer) for answer in answers) == [False, True], (pair, answers)
            loser = next(answer for answer in answers if not answer.is_success)
            assert loser.status_code == 412 or (body is None and loser.status_code == 404), (pair, loser)
        if body is not None:
            lines = [traces(body, user) for user in (ONE, OTHER)]
            assert sum(map(bool, lines)) <= 1, (pair, lines)
            for answer, own in zip(answers, lines, strict=True):
                assert answer.is_success or not own, (pair, own)
        await room.clear(execution)

    found = pairs(pause_at_failure=room.pause_at_failure)
    await asyncio.gather(*(act(pair) for pair in found if WRITES_WHAT_WAS_SEEN not in pair))


async def test_no_act_is_done_where_the_execution_has_moved_on_since_the_state_of_if_match(room: Room) -> None:
    execution = await room.execution()
    old = await room.tag(execution)
    await room.do("retention", execution, OTHER, old)
    before = await room.look(execution)
    for name in ACTS:
        for tag in (old, f'"x", {old}', old.removeprefix("W/"), '""'):
            answer = await room.do(name, execution, ONE, tag)
            assert answer.status_code == 412, (name, answer)
            assert answer.headers["x-error-code"] == "PRECONDITION_FAILED"
        assert refused(await room.do(name, execution, ONE, "none")) == ["UNKNOWN_HEADER_VALUE"]
    assert await room.look(execution) == before


async def test_an_answer_names_the_state_that_it_shows_and_lines_of_log_leave_it_as_it_is(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        execution = await desk.queue("a", "b", debugStepIds=["b"])
        call = await desk.act.next()
        read = await desk.client.get(desk.place(execution))
        await call.context.log("still at it")
        while (await desk.client.get(desk.place(execution))).headers["etag"] == read.headers["etag"]:  # noqa: ASYNC110 # written in the background
            await asyncio.sleep(0)
        changed = await desk.client.patch(desk.place(execution), json={"debugStepIds": []}, headers={"If-Match": read.headers["etag"]})
        paused = await desk.client.post(f"{OWN}/{execution}/pause", headers={"If-Match": changed.headers["etag"]})
        assert said(shown(paused), "pause asked for by admin")
        assert (await desk.client.post(f"{OWN}/{execution}/pause", headers={"If-Match": changed.headers["etag"]})).status_code == 412
        assert shown(await desk.client.post(f"{OWN}/{execution}/pause", headers={"If-Match": "*"}))["logs"] == shown(paused)["logs"]
        call.end()
        await desk.until(execution, "PAUSED")
        assert (await desk.client.post(f"{desk.place(execution)}/abort", headers={"If-Match": paused.headers["etag"]})).status_code == 412
        known = await desk.client.get(desk.place(execution), headers={"If-None-Match": paused.headers["etag"]})
        assert known.status_code == 200
