"""What is made in a cluster for one attempt: a pod or a job, and the Secret that it waits for. Called by `kubernetes_run`.

The pod is made first and cannot begin: script, files and values are in a Secret that is not there yet. The Secret is made as the pod's own, so that
a cluster removes it with the pod, and one that comes too late, too.
"""

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from stepswitch.steps.kubernetes_inputs import Kind, Request

Manifest = dict[str, Any]
CONTAINER: Final = "script"
GRACE_SECONDS: Final = 2
"""How long a script that is stopped has after the signal TERM."""
KEPT_SECONDS: Final = 3_600
"""How long a cluster keeps a job that has ended and that nobody could remove."""
_OWNER: Final = "stepswitch"
_EXECUTION: Final = f"{_OWNER}/execution"
_NAME: Final = f"{_OWNER}/name"
_PLACE: Final = "/stepswitch"
_NAMED: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_LABELLED: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
WRAPPER: Final = """
mark=$1 limit=$2; shift 2
trap 'kill -TERM "$child" 2>/dev/null' TERM
"$@" 2>&1 &
child=$!
wait "$child"; code=$?
while kill -0 "$child" 2>/dev/null; do wait "$child"; code=$?; done
size=0; if [ -f "$STEPSWITCH_OUTPUT" ]; then size=$(($(wc -c <"$STEPSWITCH_OUTPUT"))); fi
if [ "$size" -gt "$limit" ]; then printf '\\n%s large %s\\n' "$mark" "$size"
elif [ "$size" -eq 0 ]; then printf '\\n%s none\\n' "$mark"
else
  printf '\\n%s begin %s\\n' "$mark" "$size"
  if command -v base64 >/dev/null 2>&1; then base64 <"$STEPSWITCH_OUTPUT"; else od -An -v -tx1 <"$STEPSWITCH_OUTPUT"; fi
  printf '%s end\\n' "$mark"
fi
exit "$code"
"""
"""Runs the script, hands a TERM on to it, and says behind its output what it wrote to `$STEPSWITCH_OUTPUT`. Any POSIX shell reads it."""


@dataclass(frozen=True, slots=True)
class Made:
    """How what an attempt makes is called. `mark` begins the lines that the wrapper adds to the log: nobody can foresee it."""

    name: str
    labels: Mapping[str, str]
    mark: str

    @property
    def selector(self) -> str:
        """What finds all that the attempt makes."""
        return f"{_NAME}={self.name}"

    @property
    def earlier(self) -> str:
        """What finds all that any attempt of the execution has made."""
        return f"{_EXECUTION}={self.labels[_EXECUTION]}"


def made_by(execution_id: str, attempt_name: str, mark: str) -> Made:
    """Return how what an attempt makes is called: the same names for the same attempt, whoever asks."""
    name = f"{_OWNER}-{attempt_name}"
    if not _NAMED.fullmatch(name):
        name = f"{_OWNER}-{_digest(attempt_name)}"
    number = attempt_name.removeprefix(execution_id).strip("-")
    labels = {
        "app.kubernetes.io/managed-by": _OWNER,
        _EXECUTION: _label(execution_id),
        f"{_OWNER}/attempt": _label(number),
        _NAME: name,
    }
    return Made(name, labels, mark)


def name_in(manifest: Manifest) -> str:
    """Return how everything is called that was made for the attempt to which a pod or a job belongs."""
    return str(manifest["metadata"].get("labels", {}).get(_NAME) or manifest["metadata"]["name"])


def runnable(request: Request, made: Made, output_limit_bytes: int) -> Manifest:
    """Return the pod or the job, which begins when its Secret is there."""
    spec = _pod_spec(request, made, output_limit_bytes)
    if request.kind is Kind.POD:
        return {"apiVersion": "v1", "kind": "Pod", "metadata": _metadata(made), "spec": spec}
    template = {"metadata": {"labels": dict(made.labels)}, "spec": spec}
    once = {"backoffLimit": 0, "completions": 1, "parallelism": 1, "ttlSecondsAfterFinished": KEPT_SECONDS}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": _metadata(made), "spec": {**once, "template": template}}


def secret(request: Request, made: Made, owner: Manifest, uid: str) -> Manifest:
    """Return the Secret with all that the script is given, which belongs to `owner`, by the id that the cluster gave that."""
    given = {"script": request.script}
    given |= {f"value.{name}": value.encode(errors="replace") for name, value in request.environment.items()}
    given |= {f"file.{name}": content for name, content in request.files.items()}
    belongs = {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": made.name, "uid": uid}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "immutable": True,
        "metadata": {**_metadata(made), "ownerReferences": [belongs]},
        "data": {key: base64.b64encode(content).decode() for key, content in given.items()},
    }


def _metadata(made: Made) -> Manifest:
    return {"name": made.name, "labels": dict(made.labels)}


def _pod_spec(request: Request, made: Made, output_limit_bytes: int) -> Manifest:
    user = {} if request.run_as_user is None else {"runAsUser": request.run_as_user, "runAsNonRoot": request.run_as_user != 0}
    spec: Manifest = {
        "restartPolicy": "Never",
        "activeDeadlineSeconds": request.time_limit_seconds,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "automountServiceAccountToken": request.service_account is not None,
        "enableServiceLinks": False,
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}, **user},
        "containers": [_container(request, made, output_limit_bytes)],
        "volumes": [{"name": "given", "secret": _mounted(request, made)}, {"name": "output", "emptyDir": {}}],
    }
    if request.service_account is not None:
        spec["serviceAccountName"] = request.service_account
    if request.pull_secret is not None:
        spec["imagePullSecrets"] = [{"name": request.pull_secret}]
    if request.node_selector:
        spec["nodeSelector"] = dict(request.node_selector)
    return spec


def _container(request: Request, made: Made, output_limit_bytes: int) -> Manifest:
    path = f"{_PLACE}/given/script"
    script = [path] if request.script.startswith(b"#!") else ["/bin/sh", path]
    kept = {name: {"secretKeyRef": {"name": made.name, "key": f"value.{name}"}} for name in request.environment}
    container: Manifest = {
        "name": CONTAINER,
        "image": request.image,
        "command": ["/bin/sh", "-c", WRAPPER, "stepswitch", made.mark, str(output_limit_bytes), *script],
        "env": [
            *({"name": name, "valueFrom": source} for name, source in kept.items()),
            *({"name": name, "value": f"{_PLACE}/given/files/{name}"} for name in request.files),
            {"name": "STEPSWITCH_OUTPUT", "value": f"{_PLACE}/output/output.json"},
        ],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [
            {"name": "given", "mountPath": f"{_PLACE}/given", "readOnly": True},
            {"name": "output", "mountPath": f"{_PLACE}/output"},
        ],
    }
    if request.resources:
        container["resources"] = dict(request.resources)
    return container


def _mounted(request: Request, made: Made) -> Manifest:
    files = [{"key": f"file.{name}", "path": f"files/{name}"} for name in request.files]
    return {"secretName": made.name, "defaultMode": 0o444, "items": [{"key": "script", "path": "script", "mode": 0o555}, *files]}


def _label(text: str) -> str:
    return text if _LABELLED.fullmatch(text) else _digest(text)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:40]
