"""What the table of operations is made of. Used by `operations`, and by the tables of single topics that it takes in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from pydantic import BaseModel

from stepswitch.api.needs import Need
from stepswitch.api.services import JSON, Handler

ROOTS: Final = ("/telco/api/workflows", "/tca/workflows/api/v1/orgs/{tenantId}")
OWN_ROOT: Final = "/stepswitch/api/v1"
ID: Final = {"minLength": 1, "maxLength": 256}
TAGS: Final = {"pattern": r'^(\*|((W/)?"[!#-~]*"( *, *(W/)?"[!#-~]*")*)?)$', "examples": ['"3"']}
"""What the tags of `ETag` look like, in the headers that send them back."""
GUARDED: Final = (401, 404, 500, 503)
WITH_BODY: Final = (400, 401, 404, 413, 500, 503)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter in the path, the query or a header."""

    name: str
    description: str
    place: str = "path"
    is_required: bool = True
    kind: str = "string"
    limits: Mapping[str, Any] = field(default_factory=dict)
    """What its values are, beside their kind, in the words of JSON Schema."""


class Audit(StrEnum):
    """What the audit trail has of an operation; a refusal it always has."""

    READ = "read"
    """Changes nothing, and shows nothing that is sensitive: not recorded where it is allowed."""
    CHANGE = "change"
    SENSITIVE = "sensitive"
    """Shows what is not for everybody: recorded before it is answered."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One method on one path. `answer` is the type of the 200's body: a model, a list of one, several that it can be, or str for a text; None where the success is 204."""

    id: str
    method: str
    path: str
    handler: Handler
    tag: str
    summary: str
    description: str
    answer: Any
    request: type[BaseModel] | None = None
    is_request_optional: bool = field(default=False, kw_only=True)
    """Whether it may be left out."""
    parameters: Sequence[Parameter] = ()
    refusals: Sequence[int] = GUARDED
    answer_headers: dict[str, str] = field(default_factory=dict)
    needs: Need = field(kw_only=True)
    """What its caller needs: there is no operation that does not say."""
    audit: Audit = field(kw_only=True)
    """What the audit trail has of it: there is no operation that does not say."""
    may_be_known: bool = False
    """Whether `If-None-Match` can be sent, and the answer be 304."""
    may_be_empty: bool = False
    """Whether the answer can be 204, where there is nothing to be sent."""
    redirects: bool = False
    """Whether success is 302: a browser goes on elsewhere."""
    media_type: str = JSON
    """Of the 200's body."""
    request_media_type: str = JSON
    example: Any = None
    """A request that works, where there is one worth showing."""
