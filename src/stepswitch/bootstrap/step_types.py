"""Chooses the step types of a service, with what the settings say of them. Called by `wiring`, and by whoever only reads what they declare."""

from collections.abc import Mapping
from typing import Any, Final

from stepswitch.config.settings import Settings
from stepswitch.domain.errors import SettingsError
from stepswitch.domain.networks import Networks
from stepswitch.domain.step_types import StepTypes, collect
from stepswitch.engine.ports import StepType
from stepswitch.engine.rehearsals import AT_ONCE
from stepswitch.steps.registry import BrokenStepTypesError, installed

SCRIPTS_PER_WARM_PROCESS: Final = 4
"""Scripts at once for each child process that is kept warm."""


def installed_types(types: Mapping[str, StepType] | None = None) -> StepTypes:
    """Return the signatures of the step types of this installation."""
    found = _installed() if types is None else types
    return collect(tuple({each.signature.name: each.signature for each in found.values()}.values()))


def step_types(settings: Settings) -> dict[str, StepType]:
    """Return every installed step type by name and alias, as the settings want it; raises SettingsError where one cannot be used."""
    return _installed(
        {
            "JS": {"kept_children": settings.javascript_processes, "max_children": scripts_at_once(settings)},
            "K8S": {"image": settings.kubernetes_image},
            "VRO_SSH": {"workflow": settings.vro_ssh_workflow},
            "VRO_SCP": {"workflow": settings.vro_scp_workflow},
            "VRO_EXEC": {"workflow": settings.vro_exec_workflow},
            "HTTP": {"networks": Networks.read(settings.http_denied_networks, settings.http_allowed_networks)},
        }
    )


def computing_types(types: Mapping[str, StepType] | None = None) -> dict[str, StepType]:
    """Return the step types that rehearsals carry out: their own, so that no execution waits for a place that one has taken."""
    found = _installed({"JS": {"kept_children": 1, "max_children": AT_ONCE}}) if types is None else types
    return {name: step_type for name, step_type in found.items() if step_type.signature.only_computes}


def _installed(options: Mapping[str, Mapping[str, Any]] | None = None) -> dict[str, StepType]:
    """Return every installed step type; raises SettingsError with a sentence for each that cannot be used."""
    try:
        return installed(options)
    except BrokenStepTypesError as error:
        raise SettingsError(str(error)) from None


def scripts_at_once(settings: Settings) -> int:
    """Return how many scripts may run at the same time."""
    return settings.javascript_processes * SCRIPTS_PER_WARM_PROCESS
