"""Which attributes an answer shows: `fields` and `exclude_fields` of ETSI GS NFV-SOL 013, 5.3. Called by `answers` and `list_requests`.

What a structure must have stays, so that a smaller answer is still one that the description allows. A path goes through objects,
maps and arrays alike: `stepExecutions/stepSnapshot/type`, `workflow/steps/connect`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

from pydantic import BaseModel

from stepswitch.domain.errors import ErrorCode, Fault
from stepswitch.domain.names import shown

Tree = Mapping[str, Any]
"""Names to trees; None stands for all that is below."""
Path = tuple[str, ...]
_ESCAPES: Final = (("~1", "/"), ("~a", ","), ("~b", "@"), ("~0", "~"))
_NOTHING: Final[Tree] = {}


@dataclass(frozen=True, slots=True)
class Shape:
    """A structure: its attributes, those that it must have, and whether it may have others. What a map holds is called `*`."""

    attributes: Mapping[str, "Shape | None"]
    required: frozenset[str] = frozenset()
    is_open: bool = False


@lru_cache(16)
def shape_of(model: type[BaseModel]) -> Shape:
    """Return the shape of a model, its attributes by the names that JSON has."""
    fields = {each.alias or name: each for name, each in model.model_fields.items()}
    return Shape(
        {name: _shape_in(each.annotation) for name, each in fields.items()},
        frozenset(name for name, each in fields.items() if each.is_required()),
        is_open=model.model_config.get("extra") == "allow",
    )


def _shape_in(annotation: Any) -> Shape | None:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return shape_of(annotation)
    if origin is dict:
        return Shape({"*": _shape_in(arguments[1])}, is_open=True)
    if origin is Annotated or origin is list:
        return _shape_in(arguments[0])
    if origin in (Union, UnionType):
        return next((shape for each in arguments if (shape := _shape_in(each)) is not None), None)
    return None


@dataclass(frozen=True, slots=True)
class Fields:
    """What is shown: all of it or what is `wanted`, without what is `left_out`."""

    shape: Shape | None = None
    wanted: Tree | None = None
    left_out: Tree = field(default_factory=dict)

    def shows(self, *path: str) -> bool:
        """Return whether anything below a path is shown."""
        wanted, left_out = self.wanted, self.left_out
        for name in path:
            if left_out is None or (name in left_out and left_out[name] is None) or (wanted is not None and name not in wanted):
                return False
            wanted, left_out = wanted and wanted[name], left_out.get(name, _NOTHING)
        return True

    def looks_into(self, *path: str) -> bool:
        """Return whether some of what is below a path is left out, and not all of it shown."""
        wanted, left_out = self.wanted, self.left_out
        for name in path:
            if wanted is not None and name not in wanted:
                return True
            wanted, left_out = wanted and wanted[name], left_out.get(name, _NOTHING)
            if left_out is None:
                return True
        return wanted is not None or bool(left_out)

    def inside(self, name: str) -> "Fields":
        """Return what is shown of each element of an array called `name`."""
        wanted = self.wanted and self.wanted.get(name, _NOTHING)
        return Fields(_child(self.shape, name), wanted, self.left_out.get(name, _NOTHING))

    def of(self, value: Any) -> Any:
        """Return `value` with what is shown of it."""
        return _shown(value, self.shape, self.wanted, self.left_out)


ALL: Final = Fields()


def _shown(value: Any, shape: Shape | None, wanted: Tree | None, left_out: Tree) -> Any:
    if wanted is None and not left_out:
        return value
    if isinstance(value, list | tuple):
        return [_shown(each, shape, wanted, left_out) for each in value]
    if not isinstance(value, Mapping) or (shape is None and not wanted and not left_out):
        return value
    found = {}
    for name, inner in value.items():
        child = _child(shape, name)
        is_wanted = (wanted is None or name in wanted) and not (name in left_out and left_out[name] is None)
        if is_wanted:
            found[name] = _shown(inner, child, wanted and wanted[name], left_out.get(name, _NOTHING))
        elif shape is not None and name in shape.required:
            found[name] = _shown(inner, child, _NOTHING, _NOTHING)
    return found


def _child(shape: Shape | None, name: str) -> Shape | None:
    return None if shape is None else shape.attributes.get(name, shape.attributes.get("*"))


def read_fields(parameter: str, text: str, shape: Shape) -> tuple[list[Path], list[Fault]]:
    """Return the paths that a comma-separated list names, and a fault for each that leads nowhere."""
    paths: list[Path] = []
    faults: list[Fault] = []
    for written in text.split(","):
        path = tuple(map(_unescaped, written.split("/")))
        problem = _problem(path, shape)
        if problem:
            faults.append(Fault(ErrorCode.UNKNOWN_FIELD, parameter, problem))
        else:
            paths.append(path)
    return paths, faults


def _unescaped(name: str) -> str:
    for written, meant in _ESCAPES:
        name = name.replace(written, meant)
    return name


def _problem(path: Path, shape: Shape) -> str | None:
    at: Shape | None = shape
    for place, name in enumerate(path):
        if not name:
            return "a path is empty, or has an empty name in it"
        if at is None or (name not in at.attributes and not at.is_open):
            where = f" of {shown('/'.join(path[:place]))}" if place else ""
            known = "" if at is None else f"; there are {', '.join(sorted(at.attributes))}"
            return f"{shown(name)} is no attribute{where}{known}"
        if name not in at.attributes and "*" not in at.attributes:
            return None  # nobody described what is in there
        at = _child(at, name)
    return None


def tree_of(paths: Iterable[Path]) -> dict[str, Any]:
    """Return paths as a tree."""
    tree: dict[str, Any] = {}
    for path in paths:
        at = tree
        for name in path[:-1]:
            below = at.setdefault(name, {})
            if below is None:
                break  # all of it already
            at = below
        else:
            at[path[-1]] = None
    return tree
