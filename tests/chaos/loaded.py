"""Loads all that the service needs at its start. Run once, by the process that the mortal ones are forked from."""

import importlib

for name in ("alembic.command", "alembic.util.exc", "stepswitch.bootstrap", "stepswitch.steps.ssh_command", "stepswitch.steps.ssh_login"):
    importlib.import_module(name)
