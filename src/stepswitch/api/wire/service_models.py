"""The structures of sessions and of the service itself as models, beside those of `models`. Read by `operations`."""

from pydantic import BaseModel, ConfigDict

from stepswitch.api.wire.models import Structure, Time, must


class Credentials(Structure):
    """A login."""

    username: str = must("User name.", examples=["admin"])
    password: str = must("Password.", json_schema_extra={"format": "password"})


class SessionResponse(Structure):
    """An open session; the token is in the header `x-hm-authorization`."""

    username: str = must("Who is logged in.", examples=["admin"])
    tenant_id: str = must("The tenant.", examples=["default"])
    roles: list[str] = must("The roles.", examples=[["System Administrator"]])
    expires_at: Time = must("When the session ends.")


class Health(BaseModel):
    """How the service is."""

    model_config = ConfigDict(extra="allow")

    status: str = must("`ok` when all is well; anything else comes with 503.", examples=["ok"])
    version: str = must("Version of the service.", examples=["0.1.0"])
