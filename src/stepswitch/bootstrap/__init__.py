"""The one room that knows every concrete class. Everything that starts the service, or a part of it, starts here."""

from stepswitch.bootstrap.server import application, serve
from stepswitch.bootstrap.service import Service
from stepswitch.bootstrap.wiring import installed_types, open_host_keys, open_service

__all__ = ["Service", "application", "installed_types", "open_host_keys", "open_service", "serve"]
