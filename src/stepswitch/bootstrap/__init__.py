"""The one room that knows every concrete class. Everything that starts the service, or a part of it, starts here."""

from stepswitch.bootstrap.backups import Restoration, back_up, restore
from stepswitch.bootstrap.server import application, serve
from stepswitch.bootstrap.service import Service
from stepswitch.bootstrap.wiring import installed_types, open_host_keys, open_rehearsals, open_roles, open_service, open_users

__all__ = [
    "Restoration",
    "Service",
    "application",
    "back_up",
    "installed_types",
    "open_host_keys",
    "open_rehearsals",
    "open_roles",
    "open_service",
    "open_users",
    "restore",
    "serve",
]
