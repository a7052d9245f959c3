"""What the reference says of logins through the provider. Taken in by `operations`."""

from typing import Final

from stepswitch.api import needs, provider_logins
from stepswitch.api.operation import OWN_ROOT, Audit, Operation, Parameter
from stepswitch.api.wire import service_models

_TAG: Final = "Sessions"
_ROOT: Final = f"{OWN_ROOT}/login/oidc"
_ABSENT: Final = "404: the settings name no provider for this."
_TOKEN: Final = {"x-hm-authorization": "The token."}
_COOKIE: Final = {"Set-Cookie": "What belongs to this login, for the browser to keep."}
_REDIRECT: Final = {"Location": "Where the browser goes on.", **_COOKIE}


def _said(name: str, description: str, longest: int = 512) -> Parameter:
    return Parameter(name, description, "query", is_required=False, limits={"maxLength": longest})


PROVIDER_OPERATIONS: Final = (
    Operation(
        "beginProviderLogin", "GET", _ROOT, provider_logins.begin, _TAG, "Log in through the provider, in a browser",
        "Sends the browser to the provider of logins (authorization code with PKCE). It comes back to `…/callback`, and from there goes on to "
        f"`returnTo`, where a page fetches the session with `POST …/session`. {_ABSENT}",
        None, parameters=(_said("returnTo", "A path on this service; `/docs` unless said.", 1024),), refusals=(400, 404, 500, 503),
        answer_headers=_REDIRECT, redirects=True, needs=needs.NOTHING, audit=Audit.READ,
    ),
    Operation(
        "finishProviderLogin", "GET", f"{_ROOT}/callback", provider_logins.finish, _TAG, "Come back from the provider",
        "Where the provider sends the browser. Only the browser that began the login can end it, and once. 401: the provider vouches for nobody who may come in; "
        f"the log of the service says why. {_ABSENT}",
        None,
        parameters=(
            _said("code", "What the provider gives for the login.", 2048),
            _said("state", "Which login it is."),
            _said("iss", "Which provider it is (RFC 9207)."),
            _said("error", "Why there is no code."),
        ),
        refusals=(400, 401, 404, 500, 503),
        answer_headers=_REDIRECT, redirects=True, needs=needs.NOTHING, audit=Audit.READ,
    ),
    Operation(
        "openProviderSession", "POST", f"{_ROOT}/session", provider_logins.open_session, _TAG, "Fetch the session of a browser",
        "Opens a session for the browser that has just come back from the provider, once, within a minute. As with a login, the token comes in the header "
        f"`x-hm-authorization`. {_ABSENT}",
        service_models.SessionResponse, refusals=(401, 404, 500, 503), answer_headers={**_TOKEN, **_COOKIE},
        needs=needs.NOTHING, audit=Audit.CHANGE,
    ),
    Operation(
        "logoutAtProvider", "POST", f"{_ROOT}/logout", provider_logins.log_out, _TAG, "Log out, at the provider too",
        "Ends the session of the token that is sent, whoever it came from. Where it came from the provider of logins, and that ends sessions in a browser "
        "(OpenID Connect RP-Initiated Logout), the answer has the `address` to send the browser to; it comes back to `…/logout/callback`, and from there goes on to "
        "`returnTo`. Else the answer is empty. 403: it is an access token of the provider, which has no session here.",
        service_models.ProviderLogout, parameters=(_said("returnTo", "A path on this service; `/docs` unless said.", 1024),), refusals=(400, 401, 403, 500, 503),
        needs=needs.A_LOGIN, audit=Audit.CHANGE,
    ),
    Operation(
        "finishProviderLogout", "GET", f"{_ROOT}/logout/callback", provider_logins.come_back, _TAG, "Come back from a logout at the provider",
        f"Where the provider sends the browser. It goes on to the path of its logout, to `/docs` where that is not known. {_ABSENT}",
        None, parameters=(_said("state", "What was sent along to the provider.", 2048),), refusals=(404, 500, 503),
        answer_headers={"Location": _REDIRECT["Location"]}, redirects=True, needs=needs.NOTHING, audit=Audit.READ,
    ),
    Operation(
        "beginDeviceLogin", "POST", f"{_ROOT}/device", provider_logins.begin_on_device, _TAG, "Log in through the provider, without a browser",
        f"Answers with a code that somebody confirms at the provider, in a browser anywhere (RFC 8628). {_ABSENT}",
        service_models.DeviceLogin, refusals=(400, 404, 500, 503), needs=needs.NOTHING, audit=Audit.READ,
    ),
    Operation(
        "openDeviceSession", "POST", f"{_ROOT}/device/session", provider_logins.open_device_session, _TAG, "Open the session of a confirmed code",
        "Ask again after each `interval`: 400 with `LOGIN_PENDING` until somebody has confirmed the code, with `LOGIN_TOO_FAST` where it is to be asked 5 seconds "
        f"later than before each time, with `LOGIN_NOT_COMPLETED` where nobody will. Then the token comes in the header `x-hm-authorization`. {_ABSENT}",
        service_models.SessionResponse, request=service_models.DeviceCode, refusals=(400, 401, 404, 413, 500, 503), answer_headers=_TOKEN,
        example={"deviceCode": "…"}, needs=needs.NOTHING, audit=Audit.CHANGE,
    ),
)  # fmt: skip
"""Ours; each has one path."""
