"""Loads all that the service needs at its start. Run once, by the process that the mortal ones are forked from."""

import gc
import importlib
from importlib.metadata import entry_points

for name in ("alembic.command", "alembic.util.exc", "stepswitch.bootstrap", "stepswitch.steps.ssh_command", "stepswitch.steps.ssh_login"):
    importlib.import_module(name)
for step_type in entry_points(group="stepswitch.step_types"):
    step_type.load()
gc.collect()
gc.freeze()  # else each start would look through all of this for cycles, and so have a copy of it
