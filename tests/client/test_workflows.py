"""Risk: a workflow that goes through the client comes back as another one, overwrites somebody's work, or a file is damaged unseen."""

from pathlib import Path

import pytest

from stepswitch.client import (
    InvalidRequestError,
    NotFoundError,
    NotOneError,
    PreconditionFailedError,
    Selection,
    StepswitchClient,
    StrangeAnswerError,
    compare,
)
from tests.client.office import Impostor, Office, answer
from tests.domain.documents import document
from tests.domain.lives import steps

OLD = {
    "name": "Restart",
    "version": "1",
    "schemaVersion": "1.0",
    "steps": [
        {
            "stepId": "a",
            "stepNumber": 1,
            "type": "ACT",
            "workflow": "",
            "namespace": "",
            "inBinding": [],
            "outBinding": [],
            "nextStep": "END",
        }
    ],
}


async def test_a_document_comes_back_as_it_was_with_what_nobody_knows(office: Office) -> None:
    sent = document(steps=steps("a"), ours={"kept": [1, "ż"]})
    created = await office.client.workflows.create(sent)
    assert created.warnings == 1
    read = await office.client.workflows.get(created.id)
    assert {name: read.document[name] for name in sent} == sent
    assert not {"id", "links", "createdAt", "creationUser"} & set(read.document)
    assert (read.name, read.creation_user, read.etag) == (sent["name"], "admin", created.etag)


async def test_every_fault_of_a_document_is_told(office: Office) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        await office.client.workflows.create(document(startStepId="x", steps={"a": {"type": "ACT", "nextStepId": "z"}}))
    assert {fault.message.split(":")[0] for fault in refused.value.faults} == {"startStepId", "steps.a.nextStepId"}


async def test_rehearsals_say_where_the_way_goes_astray(office: Office) -> None:
    workflow_id = await office.store("a", "b")
    failed = {"result": "FAILED", "error": {"code": "NON_ZERO_EXIT"}}
    rehearsals = [
        {"name": "well", "results": {"a": [{}], "b": [{}]}, "expected": {"way": ["a", "b"]}},
        {"name": "astray", "results": {"a": [failed]}, "expected": {"way": ["a", "b"]}},
    ]
    well, astray = await office.client.workflows.rehearse({"workflowId": workflow_id, "rehearsals": rehearsals})
    assert (well.as_expected, well.divergences, [step.because for step in well.way]) == (True, (), ["", "it is the nextStepId of `a`"])
    assert (astray.as_expected, astray.status, astray.step_executions) == (False, "FAILED", 1)
    assert [(step.step_id, step.result, step.error) for step in astray.way] == [("a", "FAILED", "NON_ZERO_EXIT")]
    assert str(astray.divergences[0]).startswith(
        "rehearsals[1].expected.way[1]: step 2: expected `b`, it is FAILED because `a` ended FAILED"
    )
    with pytest.raises(InvalidRequestError) as refused:
        await office.client.workflows.rehearse({"workflowId": workflow_id, "rehearsals": [{"results": {"c": []}}]})
    assert [fault.message.split(":")[0] for fault in refused.value.faults] == ["rehearsals[0].name", "rehearsals[0].results.c"]
    with pytest.raises(NotFoundError):
        await office.client.workflows.rehearse({"workflowId": "none", "rehearsals": [{"name": "a"}]})


async def test_a_lost_update_is_refused(office: Office) -> None:
    workflows = office.client.workflows
    read = await workflows.create(document(steps=steps("a")))
    second = await workflows.replace(read.id, {**read.document, "version": "2"}, if_match=read.etag)
    for act in (
        lambda: workflows.replace(read.id, read.document, if_match=read.etag),
        lambda: workflows.delete(read.id, if_match=read.etag),
        lambda: workflows.restore(read.id, 1, if_match=read.etag),
        lambda: workflows.attach(read.id, "a", b"", if_match=read.etag),
        lambda: workflows.detach(read.id, "a", if_match=read.etag),
    ):
        with pytest.raises(PreconditionFailedError):
            await act()
    assert (await workflows.get(read.id)).etag == second.etag


async def test_revisions_are_listed_read_compared_and_brought_back(office: Office) -> None:
    workflows = office.client.workflows
    first = await workflows.create(document(steps=steps("a")))
    await workflows.replace(first.id, document(version="2", steps=steps("a")))
    await workflows.replace(first.id, document(version="3", steps=steps("a")))
    assert [(each.number, each.changed_by) for each in await workflows.revisions(first.id)] == [(1, "admin"), (2, "admin"), (3, "admin")]
    assert (await workflows.revision(first.id, 2)).version == "2"
    (change,) = await workflows.diff(first.id, 3, against=1)
    assert (change.op, change.path, change.before, change.after) == ("replace", "/version", first.version, "3")
    assert [each.after for each in await workflows.diff(first.id, 2)] == ["2"]
    assert (await workflows.restore(first.id, 1)).version == first.version
    with pytest.raises(NotFoundError, match="there is no revision 9 of workflow"):
        await workflows.revision(first.id, 9)


async def test_a_workflow_is_found_by_its_id_or_its_name(office: Office) -> None:
    workflows = office.client.workflows
    first = await workflows.create(document(name="it's, the one"))
    assert (await workflows.find(first.id)).id == first.id
    assert (await workflows.find("it's, the one")).etag == first.etag
    second = await workflows.create(document(name="it's, the one"))
    with pytest.raises(NotOneError) as refused:
        await workflows.find("it's, the one")
    assert set(refused.value.ids) == {first.id, second.id}
    with pytest.raises(NotOneError, match=r"no workflow with the id or the name 'nonsense/\.\./x'"):
        await workflows.find("nonsense/../x")


async def test_lists_go_from_page_to_page(office: Office) -> None:
    workflows = office.client.workflows
    for name in ("c", "a", "b"):
        await workflows.create(document(name=name))
    seen = [each.name async for each in workflows.iterate(Selection(sort="name", descending=True, page_size=1))]
    assert seen == ["c", "b", "a"]
    page = await workflows.list(Selection(where=[compare("name", "in", "a", "c")]), count=True)
    assert (page.total, page.next_marker) == (2, None)


async def test_an_older_document_is_converted_and_nothing_is_stored(office: Office) -> None:
    converted = await office.client.workflows.convert(OLD, owner_id="me")
    assert (converted["schemaVersion"], converted["owner"], set(converted["steps"])) == ("3.0", {"id": "me", "type": "USER"}, {"a"})
    assert (await office.client.workflows.list()).items == []


async def test_a_document_is_reviewed_and_nothing_is_stored(office: Office) -> None:
    review = await office.client.workflows.validate(
        document(inputs={"x": {"type": "string"}}, steps={"a": {"type": "ACT", "nextStepId": "z"}})
    )
    assert [(each.code, each.path) for each in review.faults] == [("UNKNOWN_STEP", "steps.a.nextStepId")]
    assert [(each.code, each.path) for each in review.warnings] == [("UNREAD_INPUT", "inputs.x")]
    assert (await office.client.workflows.list()).items == []


async def test_a_workflow_is_created_under_an_id(office: Office) -> None:
    created = await office.client.workflows.create(document(steps=steps("a")), workflow_id="mine 1")
    assert (await office.client.workflows.get("mine 1")).id == created.id == "mine 1"


@pytest.mark.parametrize("size", [0, 3_000_000])
async def test_a_file_goes_up_comes_down_and_away(office: Office, tmp_path: Path, size: int) -> None:
    workflows, content = office.client.workflows, bytes(range(250)) * (size // 250)
    stored = await workflows.create(document(steps=steps("a")))
    source = tmp_path / 'a "file", żółty.bin'
    source.write_bytes(content)
    added = await workflows.attach(stored.id, source.name, source)
    assert (added.size, added.reference) == (len(content), source.name)
    for named in (added.id, added.key):
        target = tmp_path / f"copy of {named}"
        async with workflows.download(stored.id, named) as file:
            assert await file.save(target) == len(content)
            assert "/" not in file.name
        assert target.read_bytes() == content
    await workflows.detach(stored.id, added.key)
    assert added.key not in (await workflows.get(stored.id)).document.get("attachments", {})


@pytest.mark.parametrize(
    ("body", "etag", "error"),
    [(b"damaged", f'"{"0" * 64}"', "was damaged on its way"), (b"anything", "none", None)],
    ids=["damaged", "unmarked"],
)
async def test_a_damaged_file_is_not_left_behind(tmp_path: Path, body: bytes, etag: str, error: str | None) -> None:
    target = tmp_path / "file"
    said = answer(200, body, etag=etag, content_disposition='attachment; filename="../../etc/passwd"')
    async with (
        Impostor(said) as impostor,
        StepswitchClient(impostor.url, token="t") as client,
        client.workflows.download("w", "f") as file,
    ):
        assert file.name == "passwd"
        if error is None:
            assert await file.save(target) == len(body)
        else:
            with pytest.raises(StrangeAnswerError, match=error):
                await file.save(target)
    assert target.exists() is (error is None)


async def test_a_file_that_exists_is_not_overwritten(office: Office, tmp_path: Path) -> None:
    stored = await office.client.workflows.create(document(steps=steps("a")), files={"f": b"new"})
    target = tmp_path / "f"
    target.write_text("mine")
    async with office.client.workflows.download(stored.id, "f") as file:
        with pytest.raises(FileExistsError):
            await file.save(target)
    assert target.read_text() == "mine"
