"""Risk: a service that is killed has made a change without its record, or recorded one that it has not made, or has broken the chain."""

import asyncio
import json
import sqlite3
import threading
from pathlib import Path

import httpx
import pytest

from stepswitch.bootstrap import open_audit
from stepswitch.engine.audit_trail import check_chain
from stepswitch.storage.data_dir import DATABASE
from tests.chaos.service import ROOT, ServiceProcess

OWN = "/stepswitch/api/v1"
NOOP = {"name": "n", "version": "1", "schemaVersion": "3.0", "startStepId": "a", "steps": {"a": {"type": "NOOP"}}}
KILLS, PEOPLE, BEFORE_A_KILL = 2, 3, 12


def hammer(service: ServiceProcess, workflow: str, headers: dict[str, str], done: threading.Semaphore, person: str) -> None:
    """Change something all the time until the service is gone; release `done` for each answer."""
    with httpx.Client(base_url=service.url, headers=headers, timeout=30) as client:
        for number in range(100_000):
            try:
                client.put(f"{ROOT}/workflowExecution", json={"workflowId": workflow, "contextType": "NONE"})
                client.post(f"{OWN}/roles", json={"name": f"{person} {number}", "privileges": ["Workflow Read"]})
                client.delete(f"{OWN}/roles/{person} {number - 1}")
                done.release()
            except httpx.HTTPError:
                return


def recorded(path: Path, operation: str) -> list[str]:
    connection = sqlite3.connect(path / DATABASE)
    try:
        rows = connection.execute("SELECT record FROM audit WHERE operation = ? AND outcome = 'allowed'", (operation,)).fetchall()
    finally:
        connection.close()
    return [json.loads(text)["object"]["id"] for (text,) in rows]


def stored(path: Path, statement: str) -> list[str]:
    connection = sqlite3.connect(path / DATABASE)
    try:
        return [name for (name,) in connection.execute(statement).fetchall()]
    finally:
        connection.close()


@pytest.mark.timeout(180)
def test_after_every_kill_there_is_one_record_for_each_change_and_one_change_for_each_record(tmp_path: Path) -> None:
    service = ServiceProcess(tmp_path)
    for kill in range(KILLS):
        service.start()
        headers = service.login()
        workflow = service.store(NOOP, headers)
        done = threading.Semaphore(0)
        crowd = [threading.Thread(target=hammer, args=(service, workflow, headers, done, f"{kill}-{person}")) for person in range(PEOPLE)]
        for each in crowd:
            each.start()
        for _ in range(BEFORE_A_KILL + 7 * kill):
            assert done.acquire(timeout=60)
        service.end()
        for each in crowd:
            each.join(60)
    made, removed = recorded(tmp_path, "createRole"), recorded(tmp_path, "removeRole")
    assert len(made) > KILLS * PEOPLE
    assert len(set(made)) == len(made)
    assert sorted(set(made) - set(removed)) == stored(tmp_path, "SELECT name FROM roles ORDER BY name")
    executions = stored(tmp_path, "SELECT id FROM executions ORDER BY id")
    assert sorted(recorded(tmp_path, "createWorkflowExecution")) == executions
    assert sorted(recorded(tmp_path, "createWorkflow")) == stored(tmp_path, "SELECT id FROM workflows ORDER BY id")

    async def checked() -> None:
        async with open_audit(tmp_path) as store:
            assert (await check_chain(store)).finding is None

    asyncio.run(checked())
