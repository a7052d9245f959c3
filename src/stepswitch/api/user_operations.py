"""What the reference says of the operations of users. Taken in by `operations`."""

from typing import Final

from stepswitch.api import needs, roles, users
from stepswitch.api.operation import ID, OWN_ROOT, Audit, Operation, Parameter
from stepswitch.api.wire import user_models

_USERS: Final = f"{OWN_ROOT}/users"
_USER: Final = f"{_USERS}/{{username}}"
_NAME: Final = Parameter("username", "Name of the user.", limits=ID)
_TAG: Final = "Users"
_WITH_BODY: Final = (400, 401, 403, 413, 500, 503)

USER_OPERATIONS: Final = (
    Operation(
        "listUsers", "GET", _USERS, users.list_users, _TAG, "List the users",
        "Those of the caller's tenant; for administrators of the tenant `default`, those of every tenant.",
        list[user_models.User], refusals=(401, 403, 500, 503), needs=needs.ADMINISTER, audit=Audit.READ,
    ),
    Operation(
        "createUser", "POST", _USERS, users.create_user, _TAG, "Make a user",
        "Every fault is listed. A name that exists is 400 with the code ALREADY_EXISTS. A program makes no users: for API tokens, and access tokens "
        "of a provider, this is 403.",
        user_models.User, request=user_models.NewUser, refusals=_WITH_BODY, needs=needs.ADMINISTER_IN_PERSON, audit=Audit.CHANGE,
        example={"username": "ann", "password": "a pigeon on the roof", "roles": ["Workflow Executor"]},
    ),
    Operation(
        "getUser", "GET", _USER, users.read_user, _TAG, "Read a user", "Answers with tenant and roles.",
        user_models.User, parameters=(_NAME,), refusals=(401, 403, 404, 500, 503), needs=needs.ADMINISTER, audit=Audit.READ,
    ),
    Operation(
        "changeUser", "PATCH", _USER, users.change_user, _TAG, "Change a user",
        "Gives another password or other roles, disables or enables; all that is sent, or nothing. A new password ends every login of the "
        "user at once, being disabled his API tokens too. Nobody disables himself, or takes the role System Administrator from himself. "
        "A program changes no users: for API tokens, and access tokens of a provider, this is 403.",
        user_models.User, request=user_models.UserChange, parameters=(_NAME,), refusals=(*_WITH_BODY, 404), needs=needs.ADMINISTER_IN_PERSON, audit=Audit.CHANGE,
        example={"roles": ["Operations"], "isDisabled": False},
    ),
    Operation(
        "endSessionsOfUser", "DELETE", f"{_USER}/sessions", users.end_sessions, _TAG, "Log a user out everywhere",
        "Ends every session of the user, API tokens too.", None, parameters=(_NAME,), refusals=(401, 403, 404, 500, 503), needs=needs.ADMINISTER_IN_PERSON, audit=Audit.CHANGE,
    ),
    Operation(
        "changeOwnPassword", "POST", f"{OWN_ROOT}/password", users.change_own_password, _TAG, "Change one's own password",
        "Ends every login of the caller, this one too: log in again. API tokens go on. A wrong old password is 400 with the code WRONG_CREDENTIALS, "
        "and slows down what follows as a failed login does.",
        None, request=user_models.OwnPassword, refusals=(400, 401, 403, 413, 500, 503), needs=needs.A_LOGIN_OF_A_PERSON, audit=Audit.CHANGE,
        example={"oldPassword": "…", "newPassword": "a pigeon on the roof"},
    ),
    Operation(
        "listRoles", "GET", f"{OWN_ROOT}/roles", roles.list_roles, _TAG, "List the roles",
        "Those that are always there, and those that the tenant made for itself.",
        list[user_models.Role], refusals=(401, 403, 500, 503), needs=needs.ADMINISTER, audit=Audit.READ,
    ),
    Operation(
        "createRole", "POST", f"{OWN_ROOT}/roles", roles.create_role, _TAG, "Make a role",
        "A role of some privileges, for all workflows or for those of some names. Roles do not change: a name that exists is 400.",
        user_models.Role, request=user_models.NewRole, refusals=_WITH_BODY, needs=needs.ADMINISTER, audit=Audit.CHANGE,
        example={"name": "Core executor", "privileges": ["Workflow Execute"], "workflowNames": ["core *"]},
    ),
    Operation(
        "removeRole", "DELETE", f"{OWN_ROOT}/roles/{{role}}", roles.remove_role, _TAG, "Remove a role",
        "One that somebody has is 400, one that is always there 404.",
        None, parameters=(Parameter("role", "Name of the role.", limits=ID),), refusals=(400, 401, 403, 404, 500, 503), needs=needs.ADMINISTER, audit=Audit.CHANGE,
    ),
)  # fmt: skip
"""Ours; each has one path."""
