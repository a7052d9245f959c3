"""Risk: what a client asks of a list is not what the service carries out, or a fault of the request is answered as something else."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from stepswitch.api.wire import models
from stepswitch.bootstrap.wiring import open_service
from stepswitch.config.settings import Settings
from tests.api.house import messages
from tests.api.logged_in import PASSWORD, logged_in

LOGS = {
    "name": "Speak", "version": "1", "schemaVersion": "3.0", "startStepId": "a", "hierarchy": ["Core", "North"],
    "tags": [{"name": "5G"}], "inputs": {"pw": {"type": "password"}},
    "steps": {"a": {"type": "NOOP", "inBindings": {"p": {"type": "password", "exportName": "pw"}}}},
}  # fmt: skip


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A service over its real store, whose steps nobody carries out: what is queued stays queued."""
    service = await open_service(Settings.model_validate({"data_dir": tmp_path, "admin_password": PASSWORD}))
    async with logged_in(service) as client:
        yield client


async def put_workflow(client: httpx.AsyncClient, root: str, **changes: Any) -> str:
    answer = await client.put(f"{root}/workflow", json=LOGS | changes)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


async def put_execution(client: httpx.AsyncClient, root: str, workflow_id: str, **changes: Any) -> dict[str, Any]:
    answer = await client.put(f"{root}/workflowExecution", json={"workflowId": workflow_id, "contextType": "NONE"} | changes)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def ids(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [each["id"] for each in answer.json()]


@pytest.mark.parametrize("direction", ["asc", "desc"])
async def test_a_list_that_is_sorted_by_the_one_value_it_is_filtered_by_goes_on_behind_its_first_page(
    client: httpx.AsyncClient, root: str, direction: str
) -> None:
    made = [await put_workflow(client, root, name=name) for name in ("Speak", "Speak", "Listen", "Speak", "Speak")]
    expected = [each for each in made if each != made[2]]
    for filtered in ("(eq,name,Speak)", "(in,name,Speak)", "(eq,name,Speak);(neq,name,Listen)", "(eq,readOnly,false);(eq,name,Speak)"):
        marker = f"page_number=1,page_size=1,sort=name,{direction}"
        answer = await client.get(f"{root}/workflow", params={"filter": filtered, "nextpage_opaque_marker": marker})
        found = [*ids(answer), *await follow(client, answer.links["next"]["url"])]
        assert found == (expected if direction == "asc" else expected[::-1]), filtered


async def follow(client: httpx.AsyncClient, url: str, **headers: str) -> list[str]:
    answer = await client.get(url, headers=headers)
    found = ids(answer)
    while "next" in answer.links:
        answer = await client.get(answer.links["next"]["url"])
        found += ids(answer)
    return found


async def test_workflows_are_listed_filtered_and_sorted(client: httpx.AsyncClient, root: str) -> None:
    made = [await put_workflow(client, root, name=name, version=str(place)) for place, name in enumerate(["b", "a, c", "O'Hara", "b"])]
    url = f"{root}/workflow"
    answer = await client.get(url)
    assert ids(answer) == made[::-1]
    assert [models.WorkflowResponse.model_validate(each) for each in answer.json()]
    assert answer.json() == [(await client.get(f"{url}/{each}")).json() for each in made[::-1]]
    for text, expected in (
        ("(eq,name,b)", [3, 0]),
        ("(eq,name,'a, c')", [1]),
        ("(eq,name,'O''Hara')", [2]),
        ("(in,version,1,3)", [3, 1]),
        ("(cont,name,Har,c)", [2, 1]),
        ("(eq,name,b);(eq,version,0)", [0]),
        ("(eq,tags/name,5G);(eq,hierarchy,North);(eq,owner/id,admin);(eq,readOnly,false);(gt,version,2)", [3]),
        ("(eq,hierarchy,South)", []),
    ):
        assert ids(await client.get(url, params={"filter": text})) == [made[place] for place in expected], text
    either = {"filter": "(eq,name,'a, c');(eq,version,0)", "nextpage_opaque_marker": "page_size=1,sort=version,asc"}
    answer = await client.get(url, params=either, headers={"x-tca-anymatch": "true", "x-stepswitch-count": "true"})
    assert (ids(answer), answer.headers["x-total-count"]) == ([made[0]], "2")
    assert ids(await client.get(answer.links["next"]["url"])) == [made[1]]


async def test_executions_are_paged_in_every_order(client: httpx.AsyncClient, root: str) -> None:
    workflows = [await put_workflow(client, root, name=name) for name in ("x", "y")]
    made = [(await put_execution(client, root, workflows[place % 2]))["id"] for place in range(5)]
    url = f"{root}/workflowExecution"
    assert await follow(client, url) == made[::-1]
    assert await follow(client, f"{url}?filter=(eq,workflow/id,{workflows[0]})&nextpage_opaque_marker=page_size=1") == made[4::-2]
    for order in ("id", "name", "workflow/name", "workflow/id", "endTime", "aborted", "context/vnfId", "status", "contextType"):
        up = await follow(client, f"{url}?nextpage_opaque_marker=page_size=2,sort={order},asc")
        by_name = order in ("name", "workflow/name", "workflow/id")
        assert up == sorted(made, key=lambda each: (made.index(each) % 2 if by_name else 0, each))
        assert await follow(client, f"{url}?nextpage_opaque_marker=page_size=2,sort={order},desc") == up[::-1]
    second = "page_number=2,page_size=2,sort=id,asc"
    assert ids(await client.get(url, params={"nextpage_opaque_marker": second})) == sorted(made)[2:4]


async def test_an_execution_of_a_list_is_the_one_that_is_read_alone_without_logs(client: httpx.AsyncClient, root: str) -> None:
    workflow_id = await put_workflow(client, root)
    context = {"vnfId": "hunter22", "site": "north"}
    made = await put_execution(client, root, workflow_id, contextType="VNF", context=context, assignments={"pw": "hunter22"})
    url = f"{root}/workflowExecution"
    alone = (await client.get(f"{url}/{made['id']}")).json()
    (listed,) = (await client.get(url)).json()
    models.WorkflowExecution.model_validate(listed)
    assert alone["logs"]
    without = {
        **alone,
        "stepExecutions": [{name: value for name, value in each.items() if name != "logs"} for each in alone["stepExecutions"]],
    }
    del without["logs"]
    assert listed == without
    assert "hunter22" not in (await client.get(url)).text
    with_logs = await client.get(f"{url}?fields=logs,stepExecutions/logs,stepExecutions,status")
    (found,) = with_logs.json()
    assert (found["logs"], found["stepExecutions"], found["status"]) == (alone["logs"], alone["stepExecutions"], "QUEUED")
    assert ids(await client.get(f"{url}?filter=(eq,context/site,north)")) == [made["id"]]
    assert ids(await client.get(f"{url}?filter=(cont,context/vnfId,hunt)")) == [], "a filter tells what an answer masks"


async def test_fields_make_an_answer_smaller_and_leave_what_must_be_there(client: httpx.AsyncClient, root: str) -> None:
    workflow_id = await put_workflow(client, root)
    made = await put_execution(client, root, workflow_id)
    required = {"id", "workflow", "contextType", "creationTime", "creationUser", "aborted", "links"}
    for url in (f"{root}/workflowExecution/{made['id']}", f"{root}/workflowExecution"):
        answer = (await client.get(f"{url}?fields=status,workflow/steps/a/type,stepExecutions/state")).json()
        found = answer[0] if isinstance(answer, list) else answer
        models.WorkflowExecution.model_validate(found)
        assert set(found) == required | {"status", "stepExecutions"}
        assert found["workflow"]["steps"] == {"a": {"type": "NOOP"}}
        assert "inputs" not in found["workflow"]
        assert found["stepExecutions"] == [
            {"stepSnapshot": {"type": "NOOP", "id": "a"}, "state": "executable", "startTime": made["creationTime"], "aborted": False}
        ]
        answer = (await client.get(f"{url}?exclude_fields=workflow/steps,stepExecutions,id")).json()
        found = answer[0] if isinstance(answer, list) else answer
        assert "stepExecutions" not in found
        assert (found["id"], found["outputs"], "steps" in found["workflow"], found["workflow"]["hierarchy"]) == (
            made["id"],
            {},
            False,
            ["Core", "North"],
        )
    (found,) = (await client.get(f"{root}/workflow?fields=tags")).json()
    assert found["tags"] == [{"name": "5G"}]
    assert "steps" not in found
    models.WorkflowResponse.model_validate(found)
    one = await client.get(f"{root}/workflowExecution/{made['id']}?fields=nonsense,status/x")
    assert (one.status_code, len(messages(one))) == (400, 2)


async def test_every_fault_is_listed_with_its_place(client: httpx.AsyncClient, root: str) -> None:
    query = {
        "filter": "(eq,stats,a);(gt,creationTime,yesterday);(eq,aborted,no);(cont,endTime,2);(gt,aborted,true);(foo,a,b)",
        "nextpage_opaque_marker": "page_size=2000,sort=nothing,asc",
        "fields": "nonsense",
    }
    answer = await client.get(f"{root}/workflowExecution", params=query, headers={"x-tca-anymatch": "perhaps", "x-stepswitch-count": "1"})
    assert answer.status_code == 400
    begun = [" ".join(message.split(" ")[:4]) for message in messages(answer)]
    assert sorted(begun) == sorted([
        "x-tca-anymatch: is true or", "x-stepswitch-count: is true or", "fields: nonsense is no",
        "filter: at character 5:", "filter: at character 31:", "filter: at character 54:", "filter: at character 59:",
        "filter: at character 76:", "filter: at character 94:",
        "nextpage_opaque_marker: page_size is a", "nextpage_opaque_marker: sort: nothing is",
    ])  # fmt: skip


@pytest.mark.parametrize(
    "marker",
    ["", "x", "page_size", "page_size=", "page_size=0", "page_size=1001", "page_number=0", "page_number=11,page_size=1000", "asc", "sort=",
     "sort=id,up", "sort=id,asc,desc", "sort=id,asc,page_size=1,page_size=2", "sort=context", "sort=id/x", "sort=(x", "A" * 40, "\u00e9", "page_size=\u0663"],
)  # fmt: skip
async def test_a_marker_that_cannot_be_read_is_400(client: httpx.AsyncClient, root: str, marker: str) -> None:
    for path in ("workflow", "workflowExecution"):
        answer = await client.get(f"{root}/{path}", params={"nextpage_opaque_marker": marker})
        assert answer.status_code == 400
        assert all(message.startswith("nextpage_opaque_marker: ") for message in messages(answer))


async def test_a_marker_that_was_changed_or_belongs_elsewhere_is_400(client: httpx.AsyncClient, root: str) -> None:
    workflow_id = await put_workflow(client, root)
    for _ in range(3):
        await put_execution(client, root, workflow_id)
    url = f"{root}/workflowExecution"
    first = await client.get(url, params={"filter": "(eq,status,QUEUED)", "nextpage_opaque_marker": "page_size=1"})
    params = dict(httpx.URL(first.links["next"]["url"]).params)
    assert ids(await client.get(url, params=params))
    marker = params["nextpage_opaque_marker"]
    other = "B" if marker[0] != "B" else "C"
    changed = [marker[:place] + (other if marker[place] != other else "D") + marker[place + 1 :] for place in range(len(marker))]
    for each in (*changed, marker[:-1], marker + "A", marker + "="):
        assert (await client.get(url, params=params | {"nextpage_opaque_marker": each})).status_code == 400, each
    for wrong in ({"filter": "(eq,status,PAUSED)"}, {"filter": ""}):
        assert (await client.get(url, params=params | wrong)).status_code == 400
    assert (await client.get(url, params=params, headers={"x-tca-anymatch": "true"})).status_code == 400
    assert (await client.get(f"{root}/workflow", params=params)).status_code == 400
