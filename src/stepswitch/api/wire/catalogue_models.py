"""The structures of the catalogue beside the workflow itself: files, conversions, reviews, revisions. Read by `openapi` through the operations."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, WithJsonSchema

from stepswitch.api.wire.models import FileReference, Time, WorkflowBase, WorkflowExecutionCreateRequest
from stepswitch.api.wire.structures import Kept, Structure, maybe, must
from stepswitch.domain.document import OwnerType
from stepswitch.domain.errors import ErrorCode
from stepswitch.domain.names import MAX_NAME

Content = Annotated[bytes, WithJsonSchema({"type": "string", "format": "binary", "description": "The content of a file."})]


class OlderDocument(Kept):
    """A document of schema 1.0 or 2.0."""

    name: str = must("Name.", min_length=1)
    version: str = must("Free text, for people.")
    schema_version: Literal["1.0", "2.0"] = maybe("Version of the language; where it is not said, its parts tell.")


class NewOwner(Structure):
    """Who a workflow is to belong to."""

    id: str = must("The network function, network service or user.", min_length=1, max_length=MAX_NAME)
    sub_id: str = maybe("A part of the owner.", min_length=1, max_length=MAX_NAME)
    type: OwnerType = must("What the owner is.")


class WorkflowConversion(Structure):
    """A document of schema 1.0 or 2.0 that is to be converted."""

    owner: NewOwner = must("Who the workflow is to belong to.")
    original: OlderDocument = must("The document, as it is.")


class AnyDocument(Structure):
    """A workflow of any schema, as it is: what is wrong with it is said in the answer."""

    model_config = ConfigDict(extra="allow")


class FileUpload(Structure):
    """A file that is to be added; its name comes with the part."""

    file: Content = must("The file.")


class FileAttachment(FileReference):
    """A file that was added."""

    key: str = must("What it is called in `attachments`: its name, as far as that can be a key.", examples=["check.js"])
    size: int = must("Bytes.")
    sha256: str = must("Hash of its content, in hex.")


class Finding(Structure):
    """One thing that can be said about a document."""

    code: ErrorCode = must("What kind of thing.")
    path: str = must("Where it is; empty for the whole.", examples=["steps.configure.inBindings.port"])
    message: str = must("What it is, and what to do about it.")


class Review(Structure):
    """Everything that can be said about a document."""

    faults: list[Finding] = must("What keeps it from being stored.")
    warnings: list[Finding] = must("What its author should know.")


class Revision(Structure):
    """A revision of a workflow."""

    number: int = must("Counts from 1.")
    changed_at: Time = must("When it was stored.")
    changed_by: str = must("Who stored it.", examples=["admin"])


class Difference(Structure):
    """One place that differs between two revisions."""

    op: Literal["add", "remove", "replace"] = must("What was done.")
    path: str = must("The place, as a JSON Pointer.", examples=["/steps/configure/nextStepId"])
    before: Any = maybe("What stood there; absent where nothing did.")
    after: Any = maybe("What stands there; absent where nothing does.")


class WorkflowWithFiles(Structure):
    """A workflow that brings its files along."""

    workflow: WorkflowBase = must("The workflow; the part may also be called `workflowExecution`.")
    files: list[Content] = maybe("A part for each file.")


class ExecutionWithFiles(Structure):
    """An execution that brings its files along."""

    workflow_execution: WorkflowExecutionCreateRequest = must("The request.")
    files: list[Content] = maybe("A part for each file.")
