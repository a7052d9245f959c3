"""What K8S takes and gives, and its inputs read into what is asked for. Called by `kubernetes` and its companions.

Nothing here looks at a cluster. Every fault is named at once, by a sentence that shows no value: any of them may hold a secret.
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final

from stepswitch.plugin import ErrorCode, InputSpec, OutputSpec, StepContext, StepSignature, Value, Values, ValueType
from stepswitch.steps.input_faults import Faults, InputFaultError
from stepswitch.steps.login_inputs import text_of

LARGEST_GIVEN: Final = 1_000_000
"""How many bytes script, files and values of an attempt may have together: they travel in one Secret, which takes a MiB."""
_TEXT: Final = (ValueType.STRING,)
_NUMBER: Final = (ValueType.NUMBER,)
_LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_NAME: Final = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
_IMAGE: Final = re.compile(r"[!-~]{1,512}")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,200}", re.ASCII)
_RESERVED: Final = "STEPSWITCH_"
_HIGHEST_USER: Final = 2_147_483_647


class Kind(StrEnum):
    """What a script runs in."""

    POD = "pod"
    JOB = "job"


_UNFIT: Final = {
    "nodeSelector": "is to be a JSON object whose values are strings",
    "resources": 'is to be a JSON object such as {"limits": {"cpu": "500m", "memory": "256Mi"}}',
}


def _unfit_selector(text: str) -> str | None:
    return None if _texts(text) is not None else _UNFIT["nodeSelector"]


def _unfit_resources(text: str) -> str | None:
    return None if _resources(text) is not None else _UNFIT["resources"]


SIGNATURE: Final = StepSignature(
    name="K8S",
    description=(
        "Runs a script in a pod of a Kubernetes cluster, or in the pod of a job. The log is followed live; what was made for the script is "
        "removed at the end, also after an abort or a crash of this service. Values and files reach it through a Secret."
    ),
    inputs=(
        InputSpec(
            "script",
            (ValueType.STRING, ValueType.FILE),
            "The script. With a `#!` line it is run by what that names, else by `/bin/sh`, which the image must have in any case.",
            required=True,
            tells_what=True,
        ),
        InputSpec(
            "vimLocation",
            (ValueType.VIM_LOCATION, ValueType.STRING),
            "The VIM location of the inventory whose `kubernetes` is the cluster. Without it, that of the execution's context.",
        ),
        InputSpec("image", _TEXT, "The image of the container. Without it, that of the setting `kubernetes_image`."),
        InputSpec("kind", _TEXT, "What the script runs in.", default="pod", choices=tuple(Kind)),
        InputSpec("namespace", _TEXT, "The namespace. Without it, that of the inventory, else `default`."),
        InputSpec(
            "serviceAccount",
            _TEXT,
            "The service account as which the script may talk to the Kubernetes API. Without it, it is given no token.",
        ),
        InputSpec("imagePullSecret", _TEXT, "The Secret of the namespace with the login for the image's registry."),
        InputSpec("runAsUser", _NUMBER, "The number of the user as whom the script runs. Without it, the user of the image."),
        InputSpec("nodeSelector", _TEXT, 'A JSON object with labels that the node must have: `{"zone": "paris"}`.', unfit=_unfit_selector),
        InputSpec(
            "resources",
            _TEXT,
            'A JSON object with what the container gets: `{"requests": {"cpu": "100m"}, "limits": {"memory": "256Mi"}}`.',
            unfit=_unfit_resources,
        ),
        InputSpec("timeout", _NUMBER, "How many seconds the pod may run; the time limit of the step holds beside it."),
    ),
    outputs=(
        OutputSpec("outputText", ValueType.STRING, "What the script printed, standard output and standard error in their order."),
        OutputSpec("exitCode", ValueType.NUMBER, "The exit code of the script."),
    ),
    other_inputs=True,
    other_outputs=True,
    outlives=True,
    time_limit_seconds=14_400.0,
)
KNOWN: Final = frozenset(spec.name for spec in SIGNATURE.inputs)


@dataclass(frozen=True, slots=True)
class Request:
    """All that one attempt was asked to do. Times are in seconds."""

    image: str
    kind: Kind
    time_limit_seconds: int
    script: bytes = field(repr=False)
    environment: Mapping[str, str] = field(repr=False)
    files: Mapping[str, bytes] = field(repr=False)
    service_account: str | None = None
    pull_secret: str | None = None
    run_as_user: int | None = None
    node_selector: Mapping[str, str] = field(default_factory=dict)
    resources: Mapping[str, Any] = field(default_factory=dict)


def read_kind(inputs: Values) -> Kind:
    """Return what a script runs in; raises ValueError where the input says something else."""
    return Kind(text_of(inputs, "kind") or Kind.POD)


async def read_request(inputs: Values, context: StepContext, default_image: str | None) -> Request:
    """Return what the inputs of a step ask for; raises InputFaultError, with every fault, and AttachmentError."""
    reader, faults = _Reader(inputs, []), Faults()
    image = text_of(inputs, "image") or default_image or ""
    missing = [name for name, value in (("script", text_of(inputs, "script")), ("image", image)) if not (value or "").strip()]
    if missing:
        hint = " (no setting 'kubernetes_image' gives one either)" if "image" in missing else ""
        faults.add(ErrorCode.MISSING_INPUT, f"{_listed(missing)} without value{hint}")
    texts, names = reader.others(context)
    request = Request(
        image=image if "image" in missing else reader.matching("image", image, _IMAGE, "is no name of an image"),
        kind=reader.kind(),
        time_limit_seconds=reader.seconds(context.time_limit_seconds),
        script=b"",
        environment=texts,
        files={},
        service_account=reader.name("serviceAccount"),
        pull_secret=reader.name("imagePullSecret"),
        run_as_user=reader.user(),
        node_selector=reader.object("nodeSelector", _texts),
        resources=reader.object("resources", _resources),
    )
    faults.add(ErrorCode.INVALID_VALUE, *reader.faults)
    whole = await faults.attempted(_with_contents(request, inputs, names, context))
    return faults.settled(whole)


def namespace_of(inputs: Values) -> str | None:
    """Return the namespace that a step names, None where it names none; raises InputFaultError."""
    name = text_of(inputs, "namespace")
    if name and not _LABEL.fullmatch(name):
        raise InputFaultError(ErrorCode.INVALID_VALUE, "the input 'namespace' is no name of a namespace")
    return name or None


async def _with_contents(request: Request, inputs: Values, names: Mapping[str, str], context: StepContext) -> Request:
    """Return a request with its script and its files, which are read only where they are not too large together."""
    keys = dict(names)
    script = text_of(inputs, "script") or ""
    if script and context.is_file("script"):
        keys["script"] = script
    size = sum(len(value.encode(errors="replace")) for value in request.environment.values())
    size += 0 if "script" in keys else len(script.encode(errors="replace"))
    for key in keys.values():
        size += (await context.attached(key)).size
    if size > LARGEST_GIVEN:
        message = f"script, files and values have {size:,} bytes together; a Secret of Kubernetes takes {LARGEST_GIVEN:,}"
        raise InputFaultError(ErrorCode.TOO_LARGE, message)
    contents = {name: await context.attachment(key) for name, key in keys.items()}
    text = contents.pop("script", script.replace("\r\n", "\n").encode(errors="replace"))
    return replace(request, script=text, files=contents)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads inputs one by one and takes down what is wrong with them."""

    inputs: Values
    faults: list[str]

    def matching(self, name: str, text: str, form: "re.Pattern[str]", fault: str) -> str:
        if not form.fullmatch(text):
            self.faults.append(f"the input {name!r} {fault}")
        return text

    def name(self, name: str) -> str | None:
        text = text_of(self.inputs, name)
        return self.matching(name, text, _NAME, "is no name that Kubernetes takes") if text else None

    def kind(self) -> Kind:
        try:
            return read_kind(self.inputs)
        except ValueError:
            self.faults.append(f"the input 'kind' must be one of {', '.join(Kind)}")
            return Kind.POD

    def seconds(self, limit: float) -> int:
        """Return how long the pod may run: what is asked for, and no longer than the attempt."""
        value = self.inputs.get("timeout")
        asked = limit if value is None else _number(value)
        if asked is None or not asked > 0:
            self.faults.append("the input 'timeout' must be a number of seconds greater than 0")
            asked = limit
        return max(1, math.ceil(min(asked, limit)))

    def user(self) -> int | None:
        value = self.inputs.get("runAsUser")
        number = None if value is None else _number(value)
        if value is not None and (number is None or number != int(number) or not 0 <= number <= _HIGHEST_USER):
            self.faults.append("the input 'runAsUser' must be the number of a user")
            return None
        return None if number is None else int(number)

    def object(self, name: str, read: Callable[[str], Mapping[str, Any] | None]) -> Mapping[str, Any]:
        text = text_of(self.inputs, name)
        if not text or not text.strip():
            return {}
        found = read(text)
        if found is None:
            self.faults.append(f"the input {name!r} {_UNFIT[name]}")
        return found or {}

    def others(self, context: StepContext) -> tuple[dict[str, str], dict[str, str]]:
        """Return the variables of the environment, and the attachments that are mounted, by the names of their inputs."""
        texts: dict[str, str] = {}
        files: dict[str, str] = {}
        for name, value in self.inputs.items():
            if name in KNOWN or value is None:
                continue
            text = _plain(value)
            if not _VARIABLE.fullmatch(name) or name.upper().startswith(_RESERVED):
                self.faults.append(
                    f"the input {name!r} cannot be a variable of the environment: letters, digits and '_' make its name, "
                    f"and {_RESERVED} is not its beginning"
                )
            elif context.is_file(name):
                files[name] = text
            elif "\0" in text:
                self.faults.append(f"the input {name!r} has a zero byte, which no variable of the environment can have")
            else:
                texts[name] = text
        return texts, files


def _texts(text: str) -> Mapping[str, str] | None:
    """Return a JSON object of strings; None where the text is none."""
    found = _object(text)
    return found if found is not None and all(isinstance(value, str) for value in found.values()) else None


def _resources(text: str) -> Mapping[str, Any] | None:
    """Return requests and limits, each amounts by their names; None where the text is no such thing."""
    found = _object(text)
    if found is None or not set(found) <= {"requests", "limits"}:
        return None
    amounts = [amount for part in found.values() for amount in (part.values() if isinstance(part, dict) else (None,))]
    return found if all(isinstance(amount, str | int | float) and not isinstance(amount, bool) for amount in amounts) else None


def _object(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _number(value: Value) -> float | None:
    try:
        number = float(value)
    except ValueError:
        return None
    return None if isinstance(value, bool) or not math.isfinite(number) else number


def _plain(value: Value) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _listed(names: list[str]) -> str:
    shown = " and ".join(map(repr, names))
    return f"the input {shown} is" if len(names) == 1 else f"the inputs {shown} are"
