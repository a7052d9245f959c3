"""The commands that talk to a service, by name. Called by `main`; the commands themselves are in the modules that are imported here."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import typer

from stepswitch.cli import (
    execution,
    execution_edit,
    execution_events,
    execution_files,
    execution_start,
    execution_steering,
    execution_watch,
    health,
    lock,
    password,
    tenant,
    workflow,
    workflow_files,
    workflow_rehearse,
    workflow_revisions,
)
from stepswitch.cli.remote import remote

Commands = Mapping[str, Callable[..., Any]]
_OF_WORKFLOWS: Final[Commands] = {
    "create": workflow.create,
    "list": workflow.list_workflows,
    "show": workflow.show,
    "replace": workflow.replace,
    "delete": workflow.delete,
    "convert": workflow.convert,
    "validate": workflow.validate,
    "rehearse": workflow_rehearse.rehearse,
    "revisions": workflow_revisions.revisions,
    "diff": workflow_revisions.diff,
    "restore": workflow_revisions.restore,
    "attach": workflow_files.attach,
    "download": workflow_files.download,
    "detach": workflow_files.detach,
}
_OF_EXECUTIONS: Final[Commands] = {
    "start": execution_start.start,
    "list": execution.list_executions,
    "show": execution.show,
    "watch": execution_watch.watch,
    "events": execution_events.events,
    "logs": execution.logs,
    "pause": execution_steering.pause,
    "pause-at": execution_steering.pause_at,
    "resume": execution_steering.resume,
    "retry": execution_steering.retry,
    "set": execution_steering.set_values,
    "edit": execution_edit.edit,
    "abort": execution_steering.abort,
    "abandon-cleanup": execution_steering.abandon_cleanup,
    "keep": execution_steering.keep,
    "delete": execution_steering.delete,
    "update-workflow": execution_steering.update_workflow,
    "attach": execution_files.attach,
    "download": execution_files.download,
    "detach": execution_files.detach,
}


def _group(commands: Commands, text: str) -> typer.Typer:
    group = typer.Typer(no_args_is_help=True, help=text)
    for name, command in commands.items():
        group.command(name)(remote(command))
    return group


HEALTH: Final = remote(health.health)
PASSWORD: Final = remote(password.password)
WORKFLOW: Final = _group(_OF_WORKFLOWS, "See and change the workflows of a service.")
LOCK: Final = _group({"list": lock.list_locks, "break": lock.break_lock}, "See which locks executions have, and take one away.")
TENANT: Final = _group({"usage": tenant.usage}, "See how much the tenants of a service use of what they may have.")
EXECUTION: Final = _group(_OF_EXECUTIONS, "Start, see and steer the executions of a service.")
