"""What people write as `--input`, `--attach` and `--context`, turned into values of the declared types. Called by `run` and the commands of executions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stepswitch.cli.documents import UnreadableError, read_json
from stepswitch.cli.prompts import ask_hidden, is_interactive
from stepswitch.domain.document import Declaration
from stepswitch.domain.errors import ErrorCode, Fault, InvalidRequestError, ValueMisfitError
from stepswitch.domain.values import ValueType, coerce

_TYPED = frozenset({ValueType.NUMBER, ValueType.BOOLEAN})


@dataclass(slots=True)
class Given:
    """What was given for one execution: values by input, its context, files by attachment key, and what is wrong with any of it."""

    assignments: dict[str, object] = field(default_factory=dict)
    context: dict[str, str] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def refuse(self, path: str, message: str, code: ErrorCode = ErrorCode.INVALID_VALUE) -> None:
        """Note a fault; all of them are told together."""
        self.faults.append(Fault(code, path, message))


def take(
    declared: Mapping[str, Declaration],
    inputs: Sequence[str] | None,
    input_file: Path | None,
    attach: Sequence[str] | None,
    context: Sequence[str] | None,
) -> Given:
    """Return all that the options of a start give, and ask for passwords that are missing; raises InvalidRequestError with every fault."""
    given = gather(declared, inputs or [], input_file, attach or [])
    given.context.update(split_pairs(given, context or [], "--context"))
    refuse_faults(given)
    ask_for_passwords(declared, given)
    return given


def gather(declared: Mapping[str, Declaration], inputs: Sequence[str], input_file: Path | None, attach: Sequence[str]) -> Given:
    """Return what the options give; `--input` goes over `--input-file`. An input that is not declared is left for the engine to refuse.

    `name=@path` takes the content of a file, or, for an input of type file, attaches it; `name=@@text` is a text that begins with @.
    """
    given = Given()
    if input_file is not None:
        _take_file(given, input_file)
    for name, text in split_pairs(given, inputs, "--input"):
        _take_input(given, name, text, declared.get(name))
    files_given(given, attach)
    return given


def files_given(given: Given, pairs: Sequence[str]) -> None:
    """Take the files of `--attach`, and look whether all that are to be attached are there."""
    for key, path in split_pairs(given, pairs, "--attach"):
        given.files[key] = Path(path)
    for key, file in given.files.items():
        if not file.is_file():
            given.refuse(f"attachments.{key}", f"there is no file {file}", ErrorCode.UNKNOWN_ATTACHMENT)


def split_pairs(given: Given, pairs: Sequence[str], option: str) -> list[tuple[str, str]]:
    """Return `name=value` as pairs; one without a name or without = is noted as a fault of the option."""
    found = []
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if name and equals:
            found.append((name, value))
        else:
            # The text is not shown: somebody may have put nothing but a password there.
            given.refuse(option, "is written name=value")
    return found


def ask_for_passwords(declared: Mapping[str, Declaration], given: Given) -> None:
    """Ask whoever sits at the terminal for each required password that has no value yet."""
    for name, each in declared.items():
        wanted = each.type is ValueType.PASSWORD and each.required and each.default is None
        if wanted and name not in given.assignments and is_interactive():
            given.assignments[name] = ask_hidden(name)


def corrections(declared: Mapping[str, Declaration], pairs: Sequence[str]) -> Given:
    """Return what `NAME=VALUE` gives; a NAME alone is asked for, and not shown. Raises InvalidRequestError with all that is wrong."""
    asked = [pair for pair in pairs if pair in declared and is_interactive()]
    given = gather(declared, [pair for pair in pairs if pair not in asked], None, [])
    refuse_faults(given)
    for name in asked:
        given.assignments[name] = ask_hidden(name)
    return given


def _take_file(given: Given, file: Path) -> None:
    try:
        values = read_json(file)
    except UnreadableError as error:
        given.refuse("--input-file", f"{file} {error}", ErrorCode.MALFORMED_JSON)
        return
    except InvalidRequestError as error:
        given.faults += error.faults
        return
    if isinstance(values, dict):
        given.assignments.update(values)
    else:
        given.refuse("--input-file", f"{file} is no JSON object of names and values", ErrorCode.WRONG_TYPE)


def _take_input(given: Given, name: str, text: str, declared: Declaration | None) -> None:
    wanted = ValueType.STRING if declared is None else declared.type
    if text.startswith("@@"):
        text = text[1:]
    elif text.startswith("@") and wanted is ValueType.FILE:
        file = Path(text[1:])
        given.files[file.name] = file
        text = file.name
    elif text.startswith("@"):
        content = _content(given, name, Path(text[1:]))
        if content is None:
            return
        # A secret kept in a file ends with the newline that its editor put there; that is no part of it.
        text = content.removesuffix("\n").removesuffix("\r") if wanted is not ValueType.STRING else content
    try:
        given.assignments[name] = coerce(text, wanted) if wanted in _TYPED else text
    except ValueMisfitError:
        given.assignments[name] = text  # the engine refuses it, together with all else that it finds


def _content(given: Given, name: str, file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        given.refuse(f"assignments.{name}", f"{file} cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        given.refuse(f"assignments.{name}", f"{file} is not UTF-8 text; attach it and declare the input as type file")
    return None


def refuse_faults(given: Given) -> None:
    """Raise InvalidRequestError where anything is wrong with what was given."""
    if given.faults:
        raise InvalidRequestError(given.faults)
