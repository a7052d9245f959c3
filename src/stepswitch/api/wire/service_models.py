"""The structures of sessions and of the service itself as models, beside those of `models`. Read by `operations`."""

from pydantic import BaseModel, ConfigDict

from stepswitch.api.wire.models import Time
from stepswitch.api.wire.structures import Structure, maybe, must


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


class ProviderLogout(Structure):
    """What is left to do of a logout."""

    address: str = maybe("Where to send the browser, so that it logs out at the provider.", examples=["https://login.example.net/logout?…"])


class DeviceLogin(Structure):
    """A login that somebody confirms at the provider."""

    user_code: str = must("The code to confirm, for people.", examples=["WDJB-MJHT"])
    verification_uri: str = must("Where to do that, in a browser.", examples=["https://login.example.net/device"])
    verification_uri_complete: str | None = maybe("The same address with the code in it.")
    device_code: str = must("What to ask with for the session. Nobody else may know it.")
    expires_in: int = must("Seconds until the code is good for nothing.", examples=[600])
    interval: int = must("Seconds to wait before each question.", examples=[5])


class DeviceCode(Structure):
    """A question for the session of a code that somebody may have confirmed."""

    device_code: str = must("What the login was answered with.", json_schema_extra={"format": "password"})


class Health(BaseModel):
    """How the service is."""

    model_config = ConfigDict(extra="allow")

    status: str = must("`ok` when all is well; anything else comes with 503.", examples=["ok"])
    version: str = must("Version of the service.", examples=["0.1.0"])
