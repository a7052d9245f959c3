"""The command `stepswitch`: its commands by name, and the last place where an error becomes a sentence. The console script calls `main`.

Modules of commands import what they need when they run, so that `stepswitch --help` answers at once.
"""

import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from stepswitch.cli import (
    audit,
    backup,
    credential,
    demo,
    groups,
    host_key,
    inventory,
    login,
    rehearse,
    role,
    run,
    secrets,
    serve,
    session,
    step_types,
    user,
    validate,
)
from stepswitch.cli.exits import Exit, complain, explain
from stepswitch.domain.errors import StepswitchError

app = typer.Typer(
    name="stepswitch",
    help="Executes telco workflows: JSON documents whose steps act on network functions.",
    no_args_is_help=True,
    rich_markup_mode=None,  # it takes "[default: 8080]" for a style and shows nothing
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("serve")(serve.serve)
app.command("validate")(validate.validate)
app.command("step-types")(step_types.step_types)
app.command("rehearse")(rehearse.rehearse)
app.command("run")(run.run)
app.command("demo")(demo.demo)
app.command("backup")(backup.backup)
app.command("restore")(backup.restore)
app.command("login")(login.login)
app.command("logout")(login.logout)
app.command("password")(groups.PASSWORD)
app.command("health")(groups.HEALTH)
app.add_typer(audit.app, name="audit")
app.add_typer(groups.WORKFLOW, name="workflow")
app.add_typer(groups.EXECUTION, name="execution")
app.add_typer(host_key.app, name="host-key")
app.add_typer(user.app, name="user")
app.add_typer(role.app, name="role")
app.add_typer(groups.LOCK, name="lock")
app.add_typer(groups.TENANT, name="tenant")
app.add_typer(credential.app, name="credential")
app.add_typer(inventory.app, name="inventory")
app.add_typer(secrets.app, name="secrets")
app.add_typer(session.sessions, name="session")
app.add_typer(session.tokens, name="token")


def _show_version(asked: bool) -> None:  # noqa: FBT001 - typer calls it with the value of the option
    if asked:
        from importlib.metadata import version  # noqa: PLC0415 - needed by nobody else

        typer.echo(f"stepswitch {version('stepswitch')}")
        raise typer.Exit


@app.callback()
def _root(
    *, version: Annotated[bool, typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True)] = False
) -> None:
    pass


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and end the process; `arguments` are those of the process unless given."""
    sys.exit(_exit_code(arguments))


def _exit_code(arguments: Sequence[str] | None) -> int:
    try:
        app(args=None if arguments is None else list(arguments))
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else Exit.FAILED if end.code else Exit.COMPLETED
    except StepswitchError as error:
        return explain(error)
    except Exception as error:  # noqa: BLE001 - nobody is ever shown a trace unasked
        return _explain_bug(error)
    return Exit.COMPLETED


def _explain_bug(error: Exception) -> Exit:
    if os.environ.get("STEPSWITCH_LOG_LEVEL") == "debug":
        traceback.print_exc()
    detail = " ".join(str(error).split())[:200]
    complain(f"stepswitch failed by a fault of its own: {type(error).__name__}{': ' + detail if detail else ''}")
    complain("STEPSWITCH_LOG_LEVEL=debug shows where it happened.")
    return Exit.FAILED
