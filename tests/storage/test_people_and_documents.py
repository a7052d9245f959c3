"""Risk: a workflow, an account, a login or a host key comes back as something else, or as somebody else's."""

from dataclasses import replace
from typing import Any

import pytest

from stepswitch.domain.errors import VersionConflictError
from stepswitch.engine.privileges import Privilege
from stepswitch.engine.records import Account, Ending, Session, StoredWorkflow, TrustedKey
from stepswitch.engine.selection import Order, Selection
from stepswitch.storage.accounts import SqlAccountStore
from stepswitch.storage.catalogue import SqlCatalogueStore
from stepswitch.storage.database import Database
from stepswitch.storage.executions import SqlExecutionStore
from stepswitch.storage.host_keys import SqlHostKeyStore
from stepswitch.storage.lists import SqlListStore
from stepswitch.storage.tables import workflows
from tests.storage.rows import everything, rows_of
from tests.storage.values import NOW, STRANGE_TEXTS

UNKNOWN_NAMES = ("", "\0", "admin\0", "\ud800", "Admin", "x" * 100_000)


def _workflow(workflow_id: str = "w1", tenant: str = "default", **fields: Any) -> StoredWorkflow:
    return StoredWorkflow(workflow_id, tenant, NOW, "admin", 1, {"name": "n", "steps": {}, **fields})


# --- workflows ---


@pytest.mark.parametrize("text", STRANGE_TEXTS, ids=ascii)
async def test_a_workflow_comes_back_with_its_strange_texts(database: Database, text: str) -> None:
    made = replace(_workflow(text=[text], large=2**70, empty={}), document={"name": text, text: {}})
    await SqlCatalogueStore(database).create(made)
    for store in (SqlCatalogueStore(database),) * 2:  # from the disk, then from what is kept
        assert await store.get("default", "w1") == made


async def test_creating_a_workflow_twice_changes_nothing(catalogue: SqlCatalogueStore, database: Database) -> None:
    await catalogue.create(_workflow())
    before = await everything(database)
    with pytest.raises(VersionConflictError):
        await catalogue.create(_workflow(steps={"a": {}}))
    assert await everything(database) == before
    assert await catalogue.get("default", "w1") == _workflow()


async def test_an_id_is_given_once_in_each_tenant_and_neither_knows_of_the_other(catalogue: SqlCatalogueStore, database: Database) -> None:
    own, others = _workflow(), _workflow(tenant="other", steps={"a": {}})
    await catalogue.create(own)
    before = await everything(database)
    await catalogue.create(others)
    changed = replace(others, revision=2, document={**others.document, "description": "changed"})
    await catalogue.replace(changed, 1, "u")
    assert (await catalogue.get("default", "w1"), await catalogue.get("other", "w1")) == (own, changed)
    assert [each.number for each in await catalogue.revisions(own)] == [1]
    assert await catalogue.revision(own, 2) is None
    listed = await SqlListStore(database, SqlExecutionStore(database)).workflow_page("default", Selection(Order("createdAt")))
    assert listed.items == (own,)
    await catalogue.delete(changed)
    assert await everything(database) == before


async def test_workflows_of_another_tenant_do_not_exist(catalogue: SqlCatalogueStore) -> None:
    await catalogue.create(_workflow())
    assert await catalogue.get("default", "w1") is not None
    assert await catalogue.get("other", "w1") is None


@pytest.mark.parametrize("name", UNKNOWN_NAMES, ids=lambda name: ascii(name[:10]))
async def test_a_workflow_that_nobody_can_have_is_not_found(catalogue: SqlCatalogueStore, name: str) -> None:
    assert await catalogue.get("default", name) is None
    assert await catalogue.get(name, "w1") is None


async def test_more_workflows_than_are_kept_come_back(database: Database) -> None:
    catalogue = SqlCatalogueStore(database, kept_bytes=50_000)
    made = [_workflow(f"w{place}", steps={"a": {"description": "x" * 10_000}}) for place in range(8)]
    for each in made:
        await catalogue.create(each)
    assert [await catalogue.get("default", each.id) for each in made] == made
    assert len(catalogue._kept) == 3
    assert await catalogue.get("default", "w0") == made[0]
    assert len(await rows_of(database, workflows)) == 8


# --- accounts and logins ---


async def test_an_account_comes_back_and_can_be_replaced(accounts: SqlAccountStore) -> None:
    made = Account("Ünï çode", "default", "$argon2id$\ud800\0", ("admin", "ops"))
    assert await accounts.count_accounts() == 0
    await accounts.put_account(made)
    assert await accounts.account(made.name) == made
    await accounts.put_account(replace(made, tenant="other", roles=()))
    assert await accounts.account(made.name) == replace(made, tenant="other", roles=())
    assert await accounts.count_accounts() == 1


@pytest.mark.parametrize("name", UNKNOWN_NAMES, ids=lambda name: ascii(name[:10]))
async def test_an_account_that_nobody_can_have_is_not_found(accounts: SqlAccountStore, name: str) -> None:
    await accounts.put_account(Account("admin", "default", "hash", ()))
    assert await accounts.account(name) is None
    assert await accounts.session(name) is None
    assert await accounts.account("admin") is not None


async def test_an_account_of_a_provider_is_found_by_what_that_calls_it_and_there_is_one_of_each(accounts: SqlAccountStore) -> None:
    made = Account("oidc:ann", "default", "", ("ops",), subject="https://login.example.net 7d0f", told_at=NOW)
    await accounts.add_account(made)
    assert await accounts.account_of(made.subject or "") == await accounts.account("oidc:ann") == made
    assert await accounts.account_of("https://login.example.net 7d0") is None
    for taken in (replace(made, name="oidc:other"), replace(made, subject="https://login.example.net 8")):
        with pytest.raises(VersionConflictError):
            await accounts.add_account(taken)
    await accounts.add_account(Account("ann", "default", "hash", ()))
    await accounts.add_account(Account("ben", "default", "hash", ()))  # without a provider there is no subject to be taken


async def test_an_account_is_changed_only_where_it_is_still_what_was_read(accounts: SqlAccountStore) -> None:
    read = Account("oidc:ann", "default", "", ("ops",), subject="i s", told_at=NOW)
    await accounts.add_account(read)
    await accounts.put_account(replace(read, is_disabled=True))
    with pytest.raises(VersionConflictError):
        await accounts.change_account(read, replace(read, roles=("admin",)))
    disabled = replace(read, is_disabled=True)
    assert await accounts.account("oidc:ann") == disabled
    await accounts.change_account(disabled, replace(disabled, tenant="other", roles=()))
    assert await accounts.accounts("other") == [replace(disabled, tenant="other", roles=())]


async def test_a_login_comes_back_until_it_ends(accounts: SqlAccountStore) -> None:
    made = Session("hash", "admin", "default", ("admin",), NOW, "mark")
    await accounts.put_session(made)
    assert await accounts.session("hash") == made
    await accounts.end_session("other")
    assert await accounts.session("hash") == made
    await accounts.end_session("hash")
    assert await accounts.session("hash") is None


async def test_the_sessions_of_a_user_come_back_the_newest_first_with_all_that_they_are(accounts: SqlAccountStore) -> None:
    login = Session("a" * 64, "ann", "default", ("admin",), NOW + 1, "mark", NOW - 5, "192.0.2.7")
    privileges = frozenset({Privilege.WORKFLOW_READ, Privilege.WORKFLOW_EXECUTE})
    token = Session("b" * 64, "ann", "default", (), NOW + 1, "mark", NOW - 3, "", "nightly \ud800", privileges)
    empty = Session("c" * 64, "ann", "default", (), NOW + 1, "mark", NOW - 4, "", "nothing", frozenset())
    for each in (login, token, empty, Session("d" * 64, "ben", "default", (), NOW + 1, "mark", NOW)):
        await accounts.put_session(each)
    assert await accounts.sessions_of("ann") == [token, empty, login]
    assert await accounts.sessions_of("nobody") == []


@pytest.mark.parametrize(("ending", "left"), [(Ending.NONE, ["login", "token"]), (Ending.LOGINS, ["token"]), (Ending.ALL, [])])
async def test_a_change_of_an_account_ends_the_sessions_that_it_is_to_end_and_nobody_elses(
    accounts: SqlAccountStore, ending: Ending, left: list[str]
) -> None:
    await accounts.put_session(Session("login", "ann", "default", (), NOW, "mark"))
    await accounts.put_session(Session("token", "ann", "default", (), NOW, "mark", token_name="checks"))
    await accounts.put_session(Session("other", "ben", "default", (), NOW, "mark"))
    await accounts.put_account(Account("ann", "default", "hash", ()), ending)
    assert sorted(each.token_hash for each in await accounts.sessions_of("ann")) == left
    assert await accounts.session("other") is not None


async def test_only_logins_that_are_over_are_forgotten(accounts: SqlAccountStore) -> None:
    for name, expires in (("over", NOW - 1), ("now", NOW), ("later", NOW + 1)):
        await accounts.put_session(Session(name, "admin", "default", (), expires, ""))
    await accounts.end_expired_sessions(NOW)
    assert [await accounts.session(name) is not None for name in ("over", "now", "later")] == [False, True, True]


# --- host keys ---


def _key(host: str = "router", port: int = 22, public_key: str = "ssh-ed25519 AAAA") -> TrustedKey:
    return TrustedKey(host, port, public_key, "admin", NOW)


async def test_keys_belong_to_a_host_and_a_port(host_keys: SqlHostKeyStore) -> None:
    for key in (_key(), _key(port=2222), _key(public_key="ssh-rsa BBBB"), _key("a-router")):
        await host_keys.trust(key)
    assert await host_keys.trusted("router", 22) == [_key(), _key(public_key="ssh-rsa BBBB")]
    assert await host_keys.trusted("router", 23) == []
    assert [(key.host, key.port) for key in await host_keys.all()] == [("a-router", 22), ("router", 22), ("router", 22), ("router", 2222)]


async def test_trusting_twice_is_no_error_and_keeps_who_was_first(host_keys: SqlHostKeyStore) -> None:
    await host_keys.trust(_key())
    await host_keys.trust(replace(_key(), added_by="somebody else", added_at=NOW + 1))
    assert await host_keys.all() == [_key()]


async def test_forgetting_says_how_many_keys_there_were(host_keys: SqlHostKeyStore) -> None:
    for key in (_key(), _key(public_key="ssh-rsa BBBB"), _key(port=2222)):
        await host_keys.trust(key)
    assert await host_keys.forget("router", 22) == 2
    assert await host_keys.forget("router", 22) == 0
    assert await host_keys.all() == [_key(port=2222)]


@pytest.mark.parametrize(("host", "port"), [("\0", 22), ("\ud800", 22), ("", 0), ("router", 2**70), ("router", -1)])
async def test_a_server_that_nobody_can_have_has_no_keys(host_keys: SqlHostKeyStore, host: str, port: int) -> None:
    await host_keys.trust(_key())
    assert await host_keys.trusted(host, port) == []


async def test_what_one_store_trusts_every_other_trusts_at_once(database: Database) -> None:
    reader, writer = SqlHostKeyStore(database), SqlHostKeyStore(database)
    assert await reader.trusted("router", 22) == []
    await writer.trust(_key())
    assert await reader.trusted("router", 22) == [_key()]


async def test_the_latest_places_of_a_user_are_kept_for_a_while(accounts: SqlAccountStore) -> None:
    for number in range(5):
        await accounts.put_known_place("ann", f"192.0.2.{number}", 100 + number, most=3, oldest=0)
    await accounts.put_known_place("bob", "192.0.2.9", 200, most=3, oldest=0)
    await accounts.put_known_place("ann", "192.0.2.2", 201, most=3, oldest=0)
    expected = [("ann", "192.0.2.3", 103), ("ann", "192.0.2.4", 104), ("bob", "192.0.2.9", 200), ("ann", "192.0.2.2", 201)]
    assert await accounts.known_places(0) == expected
    assert await accounts.known_places(104) == expected[1:]
    await accounts.put_known_place("eve", "192.0.2.1", 300, most=3, oldest=201)
    assert await accounts.known_places(0) == [*expected[3:], ("eve", "192.0.2.1", 300)]
