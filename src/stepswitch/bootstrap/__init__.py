"""The one room that knows every concrete class. Everything that starts the service, or a part of it, starts here."""

from stepswitch.bootstrap.auditing import prune_audit
from stepswitch.bootstrap.backups import Restoration, back_up, restore
from stepswitch.bootstrap.beside import People, open_audit, open_host_keys, open_people
from stepswitch.bootstrap.core_dumps import forbid_core_dumps
from stepswitch.bootstrap.credentials import open_credentials
from stepswitch.bootstrap.inventories import OpenInventories, open_inventories
from stepswitch.bootstrap.keys import has_service, key_choice, open_data_keys, reseal_alone
from stepswitch.bootstrap.server import application, serve
from stepswitch.bootstrap.service import Service
from stepswitch.bootstrap.step_types import installed_types
from stepswitch.bootstrap.wiring import open_rehearsals, open_service

__all__ = [
    "OpenInventories",
    "People",
    "Restoration",
    "Service",
    "application",
    "back_up",
    "forbid_core_dumps",
    "has_service",
    "installed_types",
    "key_choice",
    "open_audit",
    "open_credentials",
    "open_data_keys",
    "open_host_keys",
    "open_inventories",
    "open_people",
    "open_rehearsals",
    "open_service",
    "prune_audit",
    "reseal_alone",
    "restore",
    "serve",
]
