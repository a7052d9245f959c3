"""What a step type declares of itself: inputs, outputs, limits, safety. Read by `validation`, `decide` and the docs.

The types themselves live in `steps` and in plug-ins; here is only what can be known without running anything.
Source: `workflow-semantics`, section 4.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from stepswitch.domain.devices import Device
from stepswitch.domain.urls import read_url
from stepswitch.domain.values import Value, ValueType, to_text

TARGET: Final = (
    *("hostNameOrIP", "port", "hostKey", "vimLocation", "virtualMachine", "url", "verify", "caCertificate"),
    *("workflowId", "workflowName"),
)
"""The known inputs that say where a step acts, and how it knows that it is there; see also `StepSignature.device_inputs`."""


@dataclass(frozen=True, slots=True)
class InputSpec:
    """One input that a step type knows. `types` are those that a binding may declare for it."""

    name: str
    types: tuple[ValueType, ...]
    description: str
    required: bool = False
    default: Value | None = None
    choices: tuple[str, ...] = ()
    one_of: str | None = None
    """Name of a group of inputs of which at least one must be given (`cmd` or `script`)."""
    tells_what: bool = False
    """Whether it says what is done (a command, what that reads, what its success looks like), not where, as whom or in which way: a
    probe never takes it over from its step."""
    unfit: Callable[[str], str | None] | None = None
    """Says why a text that stands in the document cannot be taken, without showing it; None where it can."""


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """One output that a step type gives."""

    name: str
    type: ValueType
    description: str


@dataclass(frozen=True, slots=True)
class StepSignature:
    """A step type as its users see it. Times are in seconds."""

    name: str
    description: str
    inputs: tuple[InputSpec, ...] = ()
    outputs: tuple[OutputSpec, ...] = ()
    aliases: tuple[str, ...] = ()
    other_inputs: bool = False
    """Whether inputs that it does not list mean something to it (a script's variables)."""
    other_outputs: bool = False
    """Whether it gives outputs that it does not list (the keys of a script's object)."""
    always_safe: bool = False
    """Whether running it twice can never harm: then it begins without a stored claim, and gets one if it does not end soon."""
    safe_when: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Values of inputs, as texts, with which running it twice can never harm (a read): its claim is stored first all the same."""
    inline: bool = False
    """Whether `decide` itself carries it out (NOOP)."""
    waits: bool = False
    """Whether it waits for another execution, which its turn begins (a sub-workflow): no worker carries it out, and nobody holds a claim on it."""
    only_computes: bool = False
    """Whether it acts on nothing outside and reads nothing there: a rehearsal carries it out for real (JS)."""
    outlives: bool = False
    """Whether what it starts elsewhere does not end with its connection: then it removes there what an attempt has left (`CleansUp`)."""
    time_limit_seconds: float = 14_400.0
    device_input: str | None = None
    """The input that names the host acted on; with `port_input` it makes the device that places are counted for."""
    port_input: str | None = None
    url_input: str | None = None
    """The input with a URL whose host and port are the device, where there is no `device_input`. Whoever connects reads it by `read_url`, too."""

    @property
    def device_inputs(self) -> tuple[str, ...]:
        """The inputs that say where an attempt acts; none where it acts on no device."""
        return tuple(name for name in (self.device_input, self.port_input, self.url_input) if name is not None)

    def input(self, name: str) -> InputSpec | None:
        """Return the input called `name`; None where the type has no such."""
        return next((spec for spec in self.inputs if spec.name == name), None)

    def output(self, name: str) -> OutputSpec | None:
        """Return the output called `name`; None where the type has no such."""
        return next((spec for spec in self.outputs if spec.name == name), None)

    def is_safe(self, inputs: Mapping[str, Value], *, said: bool | None = None) -> bool:
        """Return whether an attempt with `inputs` may be made again; `said` is what the author says of it, which counts unless the type only computes.

        An input that is not given is as its default.
        """
        if self.always_safe or said is not None:
            return self.always_safe or bool(said)
        return any(self._has_one_of(inputs, name, values) for name, values in self.safe_when.items())

    def _has_one_of(self, inputs: Mapping[str, Value], name: str, values: frozenset[str]) -> bool:
        spec = self.input(name)
        value = inputs.get(name, spec.default if spec is not None else None)
        return value is not None and to_text(value) in values

    def target(self, inputs: Mapping[str, Value]) -> Device | None:
        """Return what an attempt with `inputs` acts on; None where that cannot be said."""
        host, port = self._host_and_port(inputs)
        if host is None:
            return None
        try:
            return Device(host, None if port is None else int(float(to_text(port))))
        except (ValueError, OverflowError):
            return Device(host)

    def _host_and_port(self, inputs: Mapping[str, Value]) -> tuple[str | None, Value | None]:
        if self.url_input is not None:
            return _of_url(inputs.get(self.url_input))
        host = inputs.get(self.device_input) if self.device_input is not None else None
        spec = self.input(self.port_input) if self.port_input else None
        port = inputs.get(self.port_input, spec.default if spec else None) if self.port_input else None
        return (host if isinstance(host, str) else None), port


def _of_url(url: Value | None) -> tuple[str | None, Value | None]:
    try:
        read = read_url(url) if isinstance(url, str) else None
    except ValueError:
        read = None
    return (None, None) if read is None else (read.host, read.port)


def acting(types: "StepTypes") -> frozenset[str]:
    """Return the names of the types that act on a device."""
    return frozenset(name for name, signature in types.by_name.items() if signature.device_inputs)


DOCUMENTED_TYPES: Final = (
    "NOOP", "JS", "TCA_SSH", "TCA_SCP", "TCA_EXEC", "VRO_SSH", "VRO_SCP", "VRO_EXEC", "VRO_CUSTOM", "K8S", "NETCONF",
)  # fmt: skip
"""The vendor's step types, complete. One that is not installed can be stored, and not executed."""

VRO_TYPES: Final = frozenset(name for name in DOCUMENTED_TYPES if name.startswith("VRO_"))
"""Those that act through the vRO of a VIM."""
VRO_RUN_ID: Final = "vroRunId"
"""Their output with the id of the run in vRO."""


@dataclass(frozen=True, slots=True)
class StepTypes:
    """The step types of this installation, by name and alias."""

    by_name: Mapping[str, StepSignature]

    def find(self, name: str) -> StepSignature | None:
        """Return the signature of the type called `name` or aliased so; None where it is not installed."""
        return self.by_name.get(name)


def collect(signatures: tuple[StepSignature, ...]) -> StepTypes:
    """Return `signatures` as one look-up; raises ValueError where two share a name."""
    by_name: dict[str, StepSignature] = {}
    for signature in signatures:
        for name in (signature.name, *signature.aliases):
            if name in by_name:
                raise ValueError(f"two step types are called {name}")
            by_name[name] = signature
    return StepTypes(by_name)
