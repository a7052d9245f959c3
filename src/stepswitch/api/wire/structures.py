"""What all models of the API are made of. Read by `models` and those beside it."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


def maybe(description: str, **more: Any) -> Any:
    """Return a field that is left out when it has no value."""
    return Field(default=None, description=description, **more)


def must(description: str, **more: Any) -> Any:
    """Return a field that is always there."""
    return Field(description=description, **more)


class Structure(BaseModel):
    """What all structures share: names as JSON writes them, and no field beside those that are listed."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", populate_by_name=True)


class Kept(Structure):
    """A part of a workflow document: a field that is not listed is kept, returned and warned about."""

    model_config = ConfigDict(extra="allow")
