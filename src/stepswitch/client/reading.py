"""Reads fields of a JSON object of an answer, with a sentence for one that is not what the API says. Called by `answers`."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from stepswitch.client.errors import StrangeAnswerError

Kind = TypeVar("Kind")


class Reader:
    """One JSON object; `about` says of what it is, for the sentence. Every method raises StrangeAnswerError where a field is of another kind."""

    def __init__(self, value: object, about: str) -> None:
        if not isinstance(value, dict):
            raise StrangeAnswerError(f"the service answered with something else than the API says: {about} is no JSON object")
        self.raw: Mapping[str, Any] = value
        self._about = about

    def has(self, field: str) -> bool:
        """Return whether the field is there."""
        return self.raw.get(field) is not None

    def text(self, field: str) -> str:
        """Return a text that must be there."""
        return self._kind(field, self.raw.get(field), str)

    def maybe_text(self, field: str) -> str | None:
        """Return a text, None where there is none."""
        return self.text(field) if self.has(field) else None

    def time(self, field: str) -> datetime:
        """Return a time that must be there, with its zone."""
        try:
            time = datetime.fromisoformat(self.text(field))
        except ValueError:
            time = None
        if time is None or time.tzinfo is None:
            raise self._strange(field)
        return time

    def maybe_time(self, field: str) -> datetime | None:
        """Return a time, None where there is none."""
        return self.time(field) if self.has(field) else None

    def flag(self, field: str) -> bool:
        """Return a boolean, false where there is none."""
        return self._kind(field, self.raw.get(field) or False, bool)

    def number(self, field: str, otherwise: int) -> int:
        """Return a whole number, or `otherwise` where there is none."""
        return self._kind(field, self.raw[field], int) if self.has(field) else otherwise

    def texts(self, field: str) -> tuple[str, ...]:
        """Return an array of texts, empty where there is none."""
        return tuple(self._kind(field, each, str) for each in self.items(field))

    def items(self, field: str) -> Sequence[Any]:
        """Return an array, empty where there is none."""
        return self._kind(field, self.raw.get(field) or [], list)

    def mapping(self, field: str) -> Mapping[str, Any]:
        """Return an object, empty where there is none."""
        return self._kind(field, self.raw.get(field) or {}, dict)

    def _kind(self, field: str, value: object, kind: type[Kind]) -> Kind:
        if not isinstance(value, kind):
            raise self._strange(field)
        return value

    def _strange(self, field: str) -> StrangeAnswerError:
        return StrangeAnswerError(
            f"the service answered with something else than the API says: {field} of {self._about} is missing or of another kind"
        )


def items_of(value: object) -> Sequence[Any]:
    """Return the answer to a list as an array; raises StrangeAnswerError where it is none."""
    if not isinstance(value, list):
        raise StrangeAnswerError("the service answered a list with something that is no array")
    return value
