"""A login through the service's provider that somebody confirms in a browser, anywhere (RFC 8628). Called by `service`."""

from dataclasses import dataclass, field
from typing import Any, Final

from stepswitch.client.errors import ConnectionBrokenError, InvalidRequestError, UnavailableError
from stepswitch.client.reading import Reader
from stepswitch.client.transport import Call, Transport

BEGIN: Final = "/stepswitch/api/v1/login/oidc/device"
MORE_SECONDS: Final = 5
"""How much longer to wait each time, where that was too short."""
_ABOUT: Final = "login through a provider at this service"


@dataclass(frozen=True, slots=True)
class DeviceLogin:
    """A login that goes on where `verification_uri` leads to: there somebody confirms `user_code`. Times are in seconds."""

    user_code: str
    verification_uri: str
    verification_uri_complete: str | None
    expires_in: int
    interval: int
    device_code: str = field(repr=False)

    @classmethod
    def read(cls, value: object) -> "DeviceLogin":
        """Return what a service answers as a value."""
        of = Reader(value, "login")
        return cls(
            of.text("userCode"),
            of.text("verificationUri"),
            of.maybe_text("verificationUriComplete"),
            of.number("expiresIn", 0),
            of.number("interval", MORE_SECONDS),
            of.text("deviceCode"),
        )


async def begin(transport: Transport) -> DeviceLogin:
    """Return a code for somebody to confirm; raises ClientError."""
    answer, _ = await transport.json(Call("POST", BEGIN, _ABOUT, is_public=True))
    return DeviceLogin.read(answer)


async def finish(transport: Transport, login: DeviceLogin) -> Any:
    """Return what the service says of the session, once somebody has confirmed the code; raises ClientError where nobody does in time."""
    call = Call("POST", f"{BEGIN}/session", _ABOUT, body={"deviceCode": login.device_code}, is_public=True)
    interval, waited = max(1, login.interval), 0
    while True:
        await transport.pacing.sleep(interval)
        waited += interval
        try:
            return await transport.open_session(call)
        except InvalidRequestError as error:
            if error.code not in ("LOGIN_PENDING", "LOGIN_TOO_FAST") or waited > login.expires_in:
                raise
            interval += MORE_SECONDS if error.code == "LOGIN_TOO_FAST" else 0
        except (UnavailableError, ConnectionBrokenError):
            if waited > login.expires_in:
                raise
            interval += MORE_SECONDS
