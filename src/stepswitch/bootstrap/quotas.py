"""The limits of tenants, from the settings. Called by `wiring`."""

from dataclasses import replace

from stepswitch.config.settings import Settings
from stepswitch.engine.quotas import Quota, Quotas


def quotas_of(settings: Settings) -> Quotas:
    """Return the limits of every tenant; one that has limits of its own keeps those of all where it says nothing."""
    of_all = Quota(
        settings.tenant_executions_at_once,
        settings.tenant_queued_executions,
        settings.tenant_stored_executions,
        settings.tenant_file_bytes,
    )
    return Quotas(of_all, {tenant: replace(of_all, **limits) for tenant, limits in settings.tenant_limits.items()})
