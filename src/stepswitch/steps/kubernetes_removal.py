"""Removes what attempts have made in a cluster, and looks whether it is gone. Called by `kubernetes` and `kubernetes_run`.

Gone is what the cluster no longer has: a pod that is being ended counts as there, for its script may still act.
"""

import asyncio
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import Final

from stepswitch.steps.kubernetes_api import Api, Object, Patience
from stepswitch.steps.kubernetes_cluster import Target
from stepswitch.steps.kubernetes_inputs import Kind
from stepswitch.steps.kubernetes_objects import GRACE_SECONDS, name_in
from stepswitch.steps.kubernetes_pod import read_pod

_LONGEST_PAUSE: Final = 1.0


@dataclass(slots=True)
class Removed:
    """How the pods and jobs were called that are gone now, and whether a script was seen to have begun in one."""

    names: list[str] = field(default_factory=list)
    has_begun: bool = False


async def remove(api: Api, target: Target, selector: str, kind: Kind, *, secret: str | None, patience: Patience) -> Removed:
    """Remove whatever `selector` finds, with its Secrets and `secret`; return what it was when it is gone.

    Raises ApiError, LinkError, and TimeoutError where the caller limits how long it may take.
    """
    removed = Removed()
    secrets = set() if secret is None else {secret}
    for pause in chain(patience.pauses, repeat(patience.pauses[-1])):
        found = await _found(api, target, selector, kind, patience)
        for path, each in found:
            name = each["metadata"]["name"]
            secrets.add(name_in(each))
            removed.has_begun |= read_pod(each).has_begun
            if name not in removed.names:
                removed.names.append(name)
                await _delete(api, f"{path}/{name}", each, patience)
        if not found:
            break
        await asyncio.sleep(min(pause, _LONGEST_PAUSE))
    for name in sorted(secrets):
        await _delete(api, f"{target.secrets}/{name}", {}, patience)
    return removed


async def _found(api: Api, target: Target, selector: str, kind: Kind, patience: Patience) -> list[tuple[str, Object]]:
    """Return the jobs, which make pods anew, before the pods."""
    found: list[tuple[str, Object]] = []
    for path in (target.jobs, target.pods) if kind is Kind.JOB else (target.pods,):
        page = await patience.insist(lambda path=path: api.get(path, labelSelector=selector))  # type: ignore[misc]
        found += [(path, each) for each in page.get("items") or [] if isinstance(each, dict)]
    return found


async def _delete(api: Api, path: str, said: Object, patience: Patience) -> None:
    options: Object = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
    if "spec" in said and "containers" in said["spec"]:
        options["gracePeriodSeconds"] = GRACE_SECONDS
    await patience.insist(lambda: api.delete(path, options))
