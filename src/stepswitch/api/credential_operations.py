"""What the reference says of the operations of credentials. Taken in by `operations`."""

from typing import Final

from stepswitch.api import credentials, needs
from stepswitch.api.operation import ID, OWN_ROOT, TAGS, Audit, Operation, Parameter
from stepswitch.api.wire import credential_models

_ALL: Final = f"{OWN_ROOT}/credentials"
_ONE: Final = f"{_ALL}/{{credential}}"
_NAME: Final = Parameter("credential", "Name of the credential.", limits=ID)
_MARKER: Final = Parameter(
    credentials.MARKER,
    "Where the page begins: what the `Link` of the page before has.",
    "query",
    is_required=False,
    limits={"examples": [""]},
)
_IF_MATCH: Final = Parameter(
    "If-Match", "The `ETag` that was read: 412 where it is another one by now.", "header", is_required=False, limits=TAGS
)
_IF_NONE_MATCH: Final = Parameter(
    "If-None-Match", "The `ETag` of what the caller has: 304 where that still is so.", "header", is_required=False, limits=TAGS
)
_TAG: Final = "Credentials"
_TAGGED: Final = {"ETag": "Changes with the credential."}

CREDENTIAL_OPERATIONS: Final = (
    Operation(
        "listCredentials", "GET", _ALL, credentials.list_credentials, _TAG, "List the credentials",
        "Those of the caller's tenant, by name, without their values; 1,000 in a page, and a `Link` to the next one.",
        list[credential_models.Credential], parameters=(_MARKER,), refusals=(400, 401, 403, 500, 503), needs=needs.ADMINISTER, audit=Audit.READ,
        answer_headers={"Link": "The next page, with `rel=\"next\"`; none on the last."},
    ),
    Operation(
        "createCredential", "POST", _ALL, credentials.create_credential, _TAG, "Make a credential",
        "Every fault is listed. A name that exists is 400 with the code ALREADY_EXISTS. What comes from Vault, the environment, a file or Kubernetes "
        "is made by administrators of the tenant `default` only; whether it can be opened is not looked at here: check it.",
        credential_models.Credential, request=credential_models.NewCredential, refusals=(400, 401, 403, 413, 500, 503), needs=needs.ADMINISTER, audit=Audit.CHANGE,
        answer_headers=_TAGGED,
        example={
            "name": "core routers", "source": {"kind": "vault", "mount": "secret", "path": "core/routers", "key": "password"},
            "roles": ["Operations"], "workflows": ["core *"], "devices": ["192.0.2.0/24:22"],
        },
    ),
    Operation(
        "getCredential", "GET", _ONE, credentials.read_credential, _TAG, "Read a credential", "Answers with everything but the value.",
        credential_models.Credential, parameters=(_NAME, _IF_NONE_MATCH), refusals=(400, 401, 403, 404, 500, 503), needs=needs.ADMINISTER, audit=Audit.READ,
        answer_headers=_TAGGED, may_be_known=True,
    ),
    Operation(
        "changeCredential", "PATCH", _ONE, credentials.change_credential, _TAG, "Change a credential",
        "All that is sent, or nothing. The next use of it, by executions that run already too, finds what is new.",
        credential_models.Credential, request=credential_models.CredentialChange, parameters=(_NAME, _IF_MATCH),
        refusals=(400, 401, 403, 404, 412, 413, 500, 503), needs=needs.ADMINISTER, audit=Audit.CHANGE, answer_headers=_TAGGED,
        example={"source": {"kind": "stored", "value": "a pigeon on the roof"}},
    ),
    Operation(
        "checkCredential", "POST", f"{_ONE}/check", credentials.check_credential, _TAG, "Check a credential",
        "Opens it as a step would, and says whether that went well; the value is told to nobody. 200 where it cannot be opened, too.",
        credential_models.CredentialFinding, parameters=(_NAME,), refusals=(401, 403, 404, 500, 503), needs=needs.ADMINISTER, audit=Audit.CHANGE,
    ),
    Operation(
        "removeCredential", "DELETE", _ONE, credentials.remove_credential, _TAG, "Remove a credential",
        "At once, whoever refers to it: a step that wants it afterwards fails with CREDENTIAL_REFUSED, and nothing is sent.",
        None, parameters=(_NAME, _IF_MATCH), refusals=(400, 401, 403, 404, 412, 500, 503), needs=needs.ADMINISTER, audit=Audit.CHANGE,
    ),
)  # fmt: skip
"""Ours; each has one path."""
