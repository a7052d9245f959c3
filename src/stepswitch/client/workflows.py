"""The catalogue: workflows, their revisions, their files. `StepswitchClient.workflows` is one of these."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final
from urllib.parse import quote

import httpx

from stepswitch.client.answers import Page, Workflow
from stepswitch.client.catalogue_answers import Difference, FileAttachment, Review, Revision
from stepswitch.client.downloads import Download, downloaded
from stepswitch.client.errors import NotFoundError, NotOneError
from stepswitch.client.reading import Reader, items_of
from stepswitch.client.rehearsal_answers import RehearsalReport
from stepswitch.client.selection import ALL, Selection, compare, page_of, pages
from stepswitch.client.transport import Call, Content, Files, Transport

ROOT: Final = "/telco/api/workflows"
OWN_ROOT: Final = "/stepswitch/api/v1"
REHEARSAL_SECONDS: Final = 90.0
"""How long rehearsals may take to be answered: they are waited for, and they take their time."""
Document = Mapping[str, Any]
"""A workflow document as JSON: with name, version, schemaVersion, steps and so on."""


class Workflows:
    """The workflows of the caller's tenant. Every method raises ApiError where the service says no, and NoAnswerError where it says nothing."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def create(self, document: Document, *, files: Mapping[str, Content] | None = None, workflow_id: str | None = None) -> Workflow:
        """Store a workflow and return it with its id; raises InvalidRequestError with every fault of the document.

        `files` holds the content of its attachments by key. With `workflow_id` it is stored under that id, to move workflows between
        installations; files are then added with `attach`.
        """
        if workflow_id is not None:
            if files:
                raise ValueError("a workflow that is created under an id takes its files with attach, afterwards")
            call = Call("PUT", f"{OWN_ROOT}/workflows/{quote(workflow_id, safe='')}", f"workflow {workflow_id}", body=document)
        elif files:
            parts = Files(files, body_part="workflow")
            call = Call("POST", f"{ROOT}/workflow", "workflow", body=document, files=parts)
        else:
            call = Call("PUT", f"{ROOT}/workflow", "workflow", body=document)
        return await self._workflow(call)

    async def get(self, workflow_id: str) -> Workflow:
        """Return a workflow; raises NotFoundError."""
        return await self._workflow(Call("GET", _place(workflow_id), f"workflow {workflow_id}", safe=True))

    async def find(self, id_or_name: str) -> Workflow:
        """Return the workflow that has this id, or else this name; raises NotOneError where none or several are called so."""
        try:
            return await self.get(id_or_name)
        except NotFoundError:
            pass
        found = await self.list(Selection(where=[compare("name", "eq", id_or_name)], page_size=10))
        if not found.items:
            raise NotOneError(f"there is no workflow with the id or the name {id_or_name!r}, or you may not see it")
        if len(found.items) > 1:
            ids = [each.id for each in found.items]
            raise NotOneError(f"several workflows are called {id_or_name!r}; take an id: {', '.join(ids)}", ids)
        return await self.get(found.items[0].id)

    async def list(self, selection: Selection = ALL, *, marker: str | None = None, count: bool = False) -> Page[Workflow]:
        """Return one page, newest first unless the selection says otherwise; `marker` is `next_marker` of the page before."""
        headers = selection.headers(marker, count=count)
        call = Call("GET", f"{ROOT}/workflow", "API at this address", selection.query(marker), headers, safe=True)
        return page_of(*await self._transport.json(call), Workflow.read)

    def iterate(self, selection: Selection = ALL) -> AsyncIterator[Workflow]:
        """Yield every workflow that fits, page after page; what others add or remove meanwhile makes none of the rest repeat or be missed."""
        return pages(lambda marker: self.list(selection, marker=marker))

    async def replace(self, workflow_id: str, document: Document, *, if_match: str | None = None) -> Workflow:
        """Store the next revision and return the workflow; raises PreconditionFailedError where it is not the one of `if_match` any more.

        `if_match` is the `etag` of the workflow that was read. A password that is left as `********` stays as it is stored.
        """
        call = Call("POST", _place(workflow_id), f"workflow {workflow_id}", headers=_matching(if_match), body=document)
        return await self._workflow(call)

    async def delete(self, workflow_id: str, *, if_match: str | None = None) -> None:
        """Remove a workflow with all its revisions; executions keep their snapshot."""
        await self._transport.json(Call("DELETE", _place(workflow_id), f"workflow {workflow_id}", headers=_matching(if_match)))

    async def convert(self, original: Document, *, owner_id: str, owner_type: str = "USER") -> dict[str, Any]:
        """Return a document of schema 1.0 or 2.0 as one of schema 3.0; nothing is stored."""
        body = {"owner": {"id": owner_id, "type": owner_type}, "original": original}
        answer, _ = await self._transport.json(Call("POST", f"{ROOT}/convert", "conversion", body=body, safe=True))
        return dict(Reader(answer, "workflow").raw)

    async def validate(self, document: Document) -> Review:
        """Return every fault and every warning of a document; nothing is stored."""
        answer, _ = await self._transport.json(Call("POST", f"{OWN_ROOT}/validate", "validation", body=document, safe=True))
        return Review.read(answer)

    async def rehearse(self, document: Document) -> Sequence[RehearsalReport]:
        """Return what every rehearsal of a document came to; nothing is stored, and nothing is sent. See docs/reference/rehearsal-document.

        Raises InvalidRequestError with every fault of the document, and NotFoundError where there is no workflow of its `workflowId`.
        """
        call = Call("POST", f"{OWN_ROOT}/rehearse", "rehearsal", body=document, safe=True, seconds=REHEARSAL_SECONDS)
        answer, _ = await self._transport.json(call)
        return [RehearsalReport.read(each) for each in Reader(answer, "rehearsal").items("rehearsals")]

    async def revisions(self, workflow_id: str) -> Sequence[Revision]:
        """Return every revision, oldest first; the last one is the current one."""
        answer, _ = await self._transport.json(Call("GET", _revisions(workflow_id), f"workflow {workflow_id}", safe=True))
        return [Revision.read(each) for each in items_of(answer)]

    async def revision(self, workflow_id: str, number: int) -> Workflow:
        """Return a workflow as it was."""
        return await self._workflow(Call("GET", f"{_revisions(workflow_id)}/{number}", _called(workflow_id, number), safe=True))

    async def diff(self, workflow_id: str, number: int, *, against: int | None = None) -> Sequence[Difference]:
        """Return every place in which a revision differs from an earlier one, the one before unless said."""
        query = {} if against is None else {"against": str(against)}
        call = Call("GET", f"{_revisions(workflow_id)}/{number}/diff", _called(workflow_id, number), query, safe=True)
        answer, _ = await self._transport.json(call)
        return [Difference.read(each) for each in items_of(answer)]

    async def restore(self, workflow_id: str, number: int, *, if_match: str | None = None) -> Workflow:
        """Make a revision the current one again, and return it."""
        path = f"{_revisions(workflow_id)}/{number}/restore"
        return await self._workflow(Call("POST", path, _called(workflow_id, number), headers=_matching(if_match)))

    async def attach(self, workflow_id: str, name: str, content: Content, *, if_match: str | None = None) -> FileAttachment:
        """Add a file, or replace the one of that name, and return how it is called; its name becomes its key."""
        call = Call(
            "POST",
            f"{_place(workflow_id)}/attachments",
            f"workflow {workflow_id}",
            headers=_matching(if_match),
            files=Files({name: content}, part="file"),
        )
        answer, _ = await self._transport.json(call)
        return FileAttachment.read(answer)

    def download(self, workflow_id: str, id_or_key: str) -> AbstractAsyncContextManager[Download]:
        """Give a file, to be read in the block: `async with client.workflows.download(…) as file: await file.save(path)`."""
        query = {"attachmentId": id_or_key}
        call = Call("GET", f"{_place(workflow_id)}/attachments", f"file {id_or_key} of workflow {workflow_id}", query, safe=True)
        return downloaded(self._transport, call)

    async def detach(self, workflow_id: str, id_or_key: str, *, if_match: str | None = None) -> None:
        """Remove a file; earlier revisions and executions keep it."""
        query, about = {"attachmentId": id_or_key}, f"file {id_or_key} of workflow {workflow_id}"
        await self._transport.json(Call("DELETE", f"{_place(workflow_id)}/attachments", about, query, _matching(if_match)))

    async def _workflow(self, call: Call) -> Workflow:
        return workflow_of(*await self._transport.json(call))


def workflow_of(answer: Any, headers: httpx.Headers) -> Workflow:
    """Return an answer that is a workflow as a value."""
    warnings = headers.get("x-stepswitch-warnings", "")
    return Workflow.read(answer, headers.get("etag"), int(warnings) if warnings.isdecimal() else 0)


def _place(workflow_id: str) -> str:
    return f"{ROOT}/workflow/{quote(workflow_id, safe='')}"


def _revisions(workflow_id: str) -> str:
    return f"{OWN_ROOT}/workflows/{quote(workflow_id, safe='')}/revisions"


def _called(workflow_id: str, number: int) -> str:
    return f"revision {number} of workflow {workflow_id}"


def _matching(if_match: str | None) -> dict[str, str]:
    return {} if if_match is None else {"if-match": if_match}
