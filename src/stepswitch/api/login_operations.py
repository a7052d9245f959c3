"""What the reference says of the operations of sessions and API tokens. Taken in by `operations`."""

from typing import Final

from stepswitch.api import logins, needs
from stepswitch.api.operation import ID, OWN_ROOT, Audit, Operation, Parameter
from stepswitch.api.wire import user_models

_TAG: Final = "Sessions"
_NAME: Final = Parameter("username", "Name of the user.", limits=ID)
_ID: Final = Parameter("sessionId", "Id of the session, as a list of them has it.", limits=ID)
_OF_USER: Final = f"{OWN_ROOT}/users/{{username}}"
_WITH_BODY: Final = (400, 401, 403, 413, 500, 503)
_ONCE: Final = (
    "The token is in this answer and is shown never again; it goes into the header `x-hm-authorization`, or behind `Bearer`, as that of a login "
    "does. It is good until it expires or is ended, or its user is disabled; not longer than 366 days, 90 unless said. A new password "
    "leaves it as it is. An API token makes no API tokens: that is 403."
)
_EXAMPLE: Final = {"name": "nightly checks", "privileges": ["Workflow Execute"]}

LOGIN_OPERATIONS: Final = (
    Operation(
        "listOwnSessions", "GET", f"{OWN_ROOT}/sessions", logins.list_sessions, _TAG, "List one's own sessions",
        "Logins and API tokens that go on, the newest first.",
        list[user_models.UserSession], refusals=(401, 403, 500, 503), needs=needs.A_LOGIN_OF_A_PERSON, audit=Audit.READ,
    ),
    Operation(
        "endOwnSession", "DELETE", f"{OWN_ROOT}/sessions/{{sessionId}}", logins.end_session, _TAG, "End one of one's own sessions",
        "A login or an API token; it is good for nothing from then on, and streams that it opened end.",
        None, parameters=(_ID,), refusals=(401, 403, 404, 500, 503), needs=needs.A_LOGIN_OF_A_PERSON, audit=Audit.CHANGE,
    ),
    Operation(
        "createOwnToken", "POST", f"{OWN_ROOT}/tokens", logins.create_token, _TAG, "Make an API token for oneself", _ONCE,
        user_models.NewlyMadeToken, request=user_models.NewToken, refusals=_WITH_BODY, needs=needs.A_LOGIN_OF_A_PERSON, audit=Audit.CHANGE, example=_EXAMPLE,
    ),
    Operation(
        "listSessionsOfUser", "GET", f"{_OF_USER}/sessions", logins.list_sessions, _TAG, "List the sessions of a user",
        "Logins and API tokens that go on, the newest first.",
        list[user_models.UserSession], parameters=(_NAME,), refusals=(401, 403, 404, 500, 503), needs=needs.ADMINISTER_IN_PERSON, audit=Audit.READ,
    ),
    Operation(
        "endSessionOfUser", "DELETE", f"{_OF_USER}/sessions/{{sessionId}}", logins.end_session, _TAG, "End a session of a user",
        "A login or an API token; it is good for nothing from then on, and streams that it opened end.",
        None, parameters=(_NAME, _ID), refusals=(401, 403, 404, 500, 503), needs=needs.ADMINISTER_IN_PERSON, audit=Audit.CHANGE,
    ),
    Operation(
        "createTokenOfUser", "POST", f"{_OF_USER}/tokens", logins.create_token, _TAG, "Make an API token for a user",
        f"For a program that has an account of its own. {_ONCE}",
        user_models.NewlyMadeToken, request=user_models.NewToken, parameters=(_NAME,), refusals=(*_WITH_BODY, 404),
        needs=needs.ADMINISTER_IN_PERSON, audit=Audit.CHANGE, example=_EXAMPLE,
    ),
)  # fmt: skip
"""Ours; each has one path."""
