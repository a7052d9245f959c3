"""The settings of the service: defaults, a file, `STEPSWITCH_…` variables, command line options, each over the one before.

Read once at start, in `cli`; everything else is given the values it needs by `bootstrap`.
"""

import ipaddress
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from stepswitch.domain.networks import DENIED

MIB = 1024 * 1024


def _networks(text: str) -> str:
    """Return a text that names addresses and networks; a name would never fit the address of a connection."""
    try:
        for each in text.split(",") if text else ():
            ipaddress.ip_network(each.strip())
    except ValueError:
        raise PydanticCustomError("networks", "Input should be addresses and networks, with commas between them") from None
    return text


def _table(given: object) -> object:
    """Return roles by names; a variable gives them as JSON, a file of settings as a table."""
    try:
        table = json.loads(given) if isinstance(given, str) else given
    except ValueError:
        table = None
    if not isinstance(table, dict) or not all(_are_texts(each) for each in table.values()):
        message = 'Input should be a table of roles by names, in a variable as JSON: {"name": ["role"]}'
        raise PydanticCustomError("roles_by_name", message)
    return table


def _are_texts(given: object) -> bool:
    return isinstance(given, list | tuple) and all(isinstance(each, str) for each in given)


def _limits(given: object) -> object:
    """Return limits by tenants; a variable gives them as JSON, a file of settings as a table."""
    try:
        table = json.loads(given) if isinstance(given, str) else given
    except ValueError:
        table = None
    if not isinstance(table, dict) or not all(_are_limits(each) for each in table.values()):
        message = f"Input should be a table of limits by tenants, in a variable as JSON, each with some of {', '.join(TENANT_LIMITS)}"
        raise PydanticCustomError("limits_by_tenant", message)
    return table


def _are_limits(given: object) -> bool:
    if not isinstance(given, dict) or not set(given) <= set(TENANT_LIMITS):
        return False
    return all(type(each) is int and each >= 0 for each in given.values())


TENANT_LIMITS: Final = ("executions_at_once", "queued_executions", "stored_executions", "file_bytes")
LimitsByTenant = Annotated[dict[str, dict[str, int]], NoDecode, BeforeValidator(_limits)]
RolesByName = Annotated[dict[str, tuple[str, ...]], NoDecode, BeforeValidator(_table)]
_LARGER: Final[Mapping[str, Sequence[str]]] = {
    "multipart_limit_bytes": ("file_limit_bytes",),
    "receiving_limit_bytes": ("body_limit_bytes", "multipart_limit_bytes"),
}
"""Limits that stand around others: what those allow would never come through if these were not larger."""


class Settings(BaseSettings):
    """Every setting, its unit and its default. A variable's name is the setting's in capitals behind `STEPSWITCH_`."""

    model_config = SettingsConfigDict(env_prefix="STEPSWITCH_", extra="forbid", frozen=True)

    host: str = Field("127.0.0.1", description="Address to listen on; loopback unless told otherwise.")
    port: int = Field(8080, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    tls_certificate: Path | None = Field(
        None, description="PEM file with the certificate to show, and those between it and its authority; unset is plain HTTP."
    )
    tls_key: Path | None = Field(None, description="PEM file with the key of the certificate; the file of the certificate unless set.")
    tls_client_ca: Path | None = Field(
        None, description="PEM file with the authorities of clients: one that shows no certificate of theirs is not let in."
    )
    trusted_proxies: Annotated[str, AfterValidator(_networks)] = Field(
        "",
        description="Addresses and networks of reverse proxies, as in `127.0.0.1,192.0.2.0/28`: from them, `X-Forwarded-For` and "
        "`X-Forwarded-Proto` are believed. From anybody else they mean nothing.",
    )
    public_url: str | None = Field(
        None,
        description="Where browsers reach the service, as in `https://stepswitch.example.net`; unset, none logs in through a provider.",
    )
    data_dir: Path = Field(Path("stepswitch-data"), description="Directory of the database and the files; made when missing.")
    admin_password: str | None = Field(
        None, min_length=8, description="Password of the user admin, used at the first start only.", repr=False
    )
    secrets_key: str = Field(
        "",
        description="Key that the keys of stored passwords are encrypted with: `file:PATH`, `env:VARIABLE` or `vault:KEY`; "
        "where nothing is set, the file `secrets.key` in the data directory, made at the first start.",
    )
    vault_address: str | None = Field(None, description="Where HashiCorp Vault is reached, as in `https://vault.example.net:8200`.")
    vault_mount: str = Field("transit", description="Path of Vault's transit engine.")
    vault_namespace: str = Field("", description="Namespace in Vault.")
    vault_token: str = Field("", description="Token for Vault.", repr=False)
    vault_token_file: Path | None = Field(None, description="File with the token for Vault, read each time; goes before `vault_token`.")
    vault_ca_file: Path | None = Field(None, description="Certificates that Vault's own is checked against, beside those of the system.")
    oidc_issuer: str | None = Field(
        None, description="Provider of OpenID Connect that vouches for people and programs, as in `https://login.example.net/realms/noc`."
    )
    oidc_label: str = Field(
        "oidc", pattern=r"^[a-z][a-z0-9-]{0,31}$", description="How the names of those whom the provider vouches for begin: `oidc:ann`."
    )
    oidc_audience: str | None = Field(
        None, description="What the provider's access tokens are to be for (`aud`); unset, none is accepted as the token of a request."
    )
    oidc_client_id: str | None = Field(
        None, description="What this service is called at the provider; unset, people do not log in through it."
    )
    oidc_client_secret: str = Field("", description="Secret of the client, where it has one.", repr=False)
    oidc_client_secret_file: Path | None = Field(
        None, description="File with the secret of the client, read at the start; goes before `oidc_client_secret`."
    )
    oidc_scopes: str = Field("openid profile", description="Scopes that a login asks the provider for, with blanks between them.")
    oidc_token_type: Literal["at+jwt", "jwt"] = Field(
        "at+jwt", description="How access tokens say what they are (`typ`); `jwt` is for a provider that does not follow RFC 9068."
    )
    oidc_algorithms: str = Field(
        "RS256,PS256,ES256,EdDSA,Ed25519", description="Algorithms of signatures that are believed, with commas between them."
    )
    oidc_clock_skew_seconds: float = Field(
        30.0, ge=0, le=300, description="How far the provider's clock may be from this machine's, in seconds."
    )
    oidc_name_claim: str = Field(
        "preferred_username", min_length=1, description="Claim that people are called after; where a token has none, `sub`."
    )
    oidc_groups_claim: str = Field(
        "groups", min_length=1, description="Claim with the groups; `realm_access.roles` is `roles` inside of `realm_access`."
    )
    oidc_roles: RolesByName = Field(
        {}, description='Roles of each group, as in `{"noc-shift": ["Operations"]}`; a group that is not there gives none.'
    )
    oidc_client_roles: RolesByName = Field({}, description="Roles of each client that comes with a token of its own, by its client id.")
    oidc_tenant: str = Field("default", min_length=1, description="Tenant of those whom the provider vouches for.")
    oidc_tenant_claim: str | None = Field(
        None, min_length=1, description="Claim that says the tenant, instead of `oidc_tenant`; who comes without it is refused."
    )
    oidc_ca_file: Path | None = Field(
        None, description="Certificates that the provider's own is checked against; those of the system unless set."
    )
    ldap_url: str | None = Field(
        None,
        description="Directory that knows users beside those with a password here: `ldaps://HOST:636`, or `ldap://HOST:389` with StartTLS.",
    )
    ldap_start_tls: bool = Field(
        default=True, description="Whether `ldap://` is encrypted with StartTLS; `false` is for a directory on this machine only."
    )
    ldap_ca_file: Path | None = Field(
        None, description="Certificates that the directory's own is checked against; those of the system unless set."
    )
    ldap_timeout_seconds: float = Field(5.0, gt=0, le=60, description="Seconds in which the directory has to have answered, all in all.")
    ldap_bind_dn: str | None = Field(
        None, description="Name of the entry with which the service itself asks the directory: its service account."
    )
    ldap_password: str = Field("", description="Password of the service account.", repr=False)
    ldap_password_file: Path | None = Field(
        None, description="File with the password of the service account, read each time; goes before `ldap_password`."
    )
    ldap_user_dn: str = Field(
        "", description="Name of the entry of a user, as in `uid={username},ou=people,dc=example,dc=net`; unset, users are searched."
    )
    ldap_user_base: str = Field(
        "", description="Entry below which users are searched; with `ldap_user_dn`, what follows its first part unless set."
    )
    ldap_user_filter: str = Field(
        "", description="Filter that the entry of a user fits, as in `(uid={username})`; with `ldap_user_dn` it may be missing."
    )
    ldap_name_attribute: str = Field("uid", min_length=1, description="Attribute that users are called after: `ldap:ann`.")
    ldap_id_attribute: str = Field(
        "entryUUID",
        min_length=1,
        description="Attribute that stays the same whatever becomes of a user's name; `objectGUID` in Active Directory.",
    )
    ldap_group_base: str = Field("", description="Entry below which the groups of a user are searched; unset, none are.")
    ldap_group_filter: str = Field(
        "(member={dn})", description="Filter that the groups of a user fit; `{dn}` is his entry, `{username}` his name."
    )
    ldap_member_of: str = Field("", description="Attribute of a user's entry that names his groups, as `memberOf`; unset, none does.")
    ldap_roles: RolesByName = Field(
        {},
        description='Roles of each group, as in `{"noc-shift": ["Operations"]}`. A group is called by the name of its entry, or by its own where it stands '
        "right below `ldap_group_base`. Whoever has no role is refused.",
    )
    ldap_tenant: str = Field("default", min_length=1, description="Tenant of the users whom the directory knows.")
    ldap_refresh_minutes: float = Field(
        5.0, ge=0, le=1440, description="Minutes after which the directory is asked again who a user is, and which groups he has."
    )
    ldap_trust_minutes: float = Field(
        60.0, gt=0, le=10_080, description="Minutes for which what the directory said last counts where it cannot be asked again."
    )
    environment_credentials: str = Field(
        "STEPSWITCH_CREDENTIAL_",
        pattern=r"^[A-Za-z_][A-Za-z0-9_]{3,}$",
        description="How the variables of the environment begin that credentials may name; no other one is ever read for them.",
    )
    file_credentials: Path | None = Field(
        None, description="Folder of the files that credentials may name; unset is none. What leads out of it is not followed."
    )
    kubernetes_config: Path | None = Field(
        None,
        description="Kubeconfig with which credentials are read that are secrets of Kubernetes; unset is the service account of the pod.",
    )
    inventory_file: Path | None = Field(
        None,
        description="YAML file with the inventory of the tenant `default`, loaded at a start unless it is as it was when it was loaded last.",
    )
    audit_syslog: str | None = Field(
        None, description="Syslog server that the audit trail is sent on to: `udp://host:514`, `tcp://host:601` or `tls://host:6514`."
    )
    audit_retention_days: float | None = Field(
        None,
        gt=0,
        le=36_500,
        description="Days that a record of the audit trail is kept; unset is for ever. What is still to be sent on stays longer.",
    )
    audit_syslog_ca_file: Path | None = Field(
        None, description="Certificates that the syslog server's own is checked against; those of the system unless set."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="How much the service itself logs.")
    log_format: Literal["text", "json"] = Field("text", description="How the service's own log looks.")
    steps_at_once: int = Field(100, ge=1, le=100_000, description="Steps carried out at once by this process.")
    sessions_per_device: int = Field(
        1,
        ge=1,
        le=1_000,
        description="Sessions at once to one device, unless the inventory says otherwise for it: all of its addresses and ports together, whatever the step type.",
    )
    javascript_processes: int = Field(2, ge=1, le=64, description="Warm child processes for JavaScript.")
    host_keys: Literal["strict", "accept-new"] = Field(
        "strict", description="Whether a host key that was never seen is refused or trusted."
    )
    http_denied_networks: Annotated[str, AfterValidator(_networks)] = Field(
        DENIED,
        description="Addresses and networks that steps of type HTTP may not connect to, by whatever name. Where `127.0.0.1` or `::1` is among "
        "them, no other address of this machine is open either.",
    )
    http_allowed_networks: Annotated[str, AfterValidator(_networks)] = Field(
        "", description="Addresses and networks that are open to steps of type HTTP although they are among the denied ones."
    )
    kubernetes_image: str | None = Field(
        None, description="Image in which scripts of type K8S run where their step names none; it has to have `/bin/sh`."
    )
    strict_documents: bool = Field(default=False, description="Whether unknown fields of a workflow document are faults.")
    vro_ssh_workflow: str | None = Field(
        None,
        min_length=1,
        description="The vRO workflow that carries out VRO_SSH, by its id or its name; unset is `Run SSH command` of the library of vRO.",
    )
    vro_scp_workflow: str | None = Field(
        None, min_length=1, description="The vRO workflow that carries out VRO_SCP, by its id or its name; without one these steps fail."
    )
    vro_exec_workflow: str | None = Field(
        None, min_length=1, description="The vRO workflow that carries out VRO_EXEC, by its id or its name; without one these steps fail."
    )
    vro_login_details: bool = Field(
        default=False, description="Whether administrators may read the login of the vRO that an execution used, password included."
    )
    session_hours: float = Field(8.0, gt=0, le=24 * 365, description="Hours until a login expires.")
    retention_days: float = Field(30.0, gt=0, le=36_500, description="Days that an ended execution is kept where nobody says otherwise.")
    max_connections: int = Field(
        1_000,
        ge=1,
        le=100_000,
        description="Connections at once; whoever comes then is answered 503. One address has a quarter of them, unless it is this machine or a "
        "trusted proxy; behind one, as many requests at once.",
    )
    requests_per_second: float | None = Field(
        None,
        gt=0,
        description="Requests that one user may send in a second, twice as many at once; whoever sends more is answered 429. Unset is no limit.",
    )
    max_queued_executions: int = Field(
        100_000, ge=1, description="Executions that wait or run at once, paused ones apart; whoever wants another one is answered 503."
    )
    tenant_queued_executions: int | None = Field(
        None, ge=0, description="The same of each tenant, beside the limit of all; unset is no limit."
    )
    tenant_stored_executions: int | None = Field(
        None, ge=0, description="Executions that each tenant may have, ended ones too; one more is answered 400. Unset is no limit."
    )
    tenant_file_bytes: int | None = Field(
        None, ge=0, description="Bytes that the files of each tenant may take; one that would be over is answered 400. Unset is no limit."
    )
    tenant_executions_at_once: int | None = Field(
        None,
        ge=0,
        description="Executions of each tenant whose step is carried out at the same time; its others wait, and keep no other tenant waiting. Unset is no limit.",
    )
    tenant_limits: LimitsByTenant = Field(
        {},
        description="Limits of single tenants, in place of those of all, as in "
        '`{"north": {"executions_at_once": 10, "queued_executions": 100, "stored_executions": 10000, "file_bytes": 1073741824}}`.',
    )
    body_limit_bytes: int = Field(10 * MIB, ge=1024, description="Largest request body, in bytes; one that brings files is limited apart.")
    file_limit_bytes: int = Field(50 * MIB, ge=1024, description="Largest file, in bytes.")
    multipart_limit_bytes: int = Field(
        256 * MIB, ge=1024, validate_default=True, description="Largest request body that brings files, all of it, in bytes."
    )
    receiving_limit_bytes: int = Field(
        512 * MIB,
        ge=1024,
        validate_default=True,
        description="Bytes of all request bodies that are being received at once; whoever comes then is answered 503. Bodies of up to 64 KiB do not count.",
    )
    max_step_executions: int = Field(10_000, ge=1, description="Step executions until an execution pauses with LOOP_LIMIT.")
    max_sub_workflow_depth: int = Field(
        8, ge=1, le=100, description="How deep workflows may call each other: 1 lets a workflow that is called call none."
    )
    max_values_bytes: int = Field(64 * MIB, ge=1024, description="Bytes that the values of one execution may take.")
    max_output_bytes: int = Field(MIB, ge=1024, description="Bytes that are kept of one output of a step.")
    max_step_log_bytes: int = Field(
        MIB, ge=1024, description="Bytes of log that are kept of one step execution; a line counts as 64 at least."
    )
    silence_seconds: float = Field(30.0, ge=1, description="Seconds without a sign of life after which a step counts as lost.")
    grace_seconds: float = Field(20.0, ge=0, description="Seconds that running steps get to end when the service is told to stop.")

    @field_validator(*_LARGER)
    @classmethod
    def _leaves_room(cls, size: int, others: ValidationInfo) -> int:
        """Return a limit that leaves room for what others allow, and for what stands around it."""
        for name in _LARGER[others.field_name or ""]:
            least = others.data.get(name, 0)
            if size <= least:
                raise PydanticCustomError("room", "Input should be over {name}, which is {least}", {"name": name, "least": least})
        return size

    def given(self, prefix: str) -> list[str]:
        """Return the names of all settings with this prefix that somebody has set to something."""
        return [name for name in sorted(self.model_fields_set) if name.startswith(prefix) and getattr(self, name)]
