"""Risk: a step begins without what it needs, with what nobody wrote down, or with a value that its log or its outputs give away."""

from typing import Any

import pytest
from structlog.testing import capture_logs

from stepswitch.domain.devices import Device
from stepswitch.domain.errors import CredentialError, ErrorCode, StoreError
from stepswitch.domain.execution import Outcome, PlainValues, Result, StepError, StepExecution
from stepswitch.domain.inventory_document import read_inventory
from stepswitch.domain.references import Reference
from stepswitch.engine.credential_use import OF_INVENTORY, Referral
from stepswitch.engine.ports import StepContext
from stepswitch.worker.patience import STORE_PAUSES
from tests.worker.house import House

SECRET = "opened-secret-0815"
BOUND: dict[str, Any] = {"inBindings": {"pw": {"type": "password", "defaultValue": {"credential": "core"}}}}


async def _say(inputs: PlainValues, context: StepContext) -> Outcome:
    context.mark_sent()
    await context.log(f"given {inputs['pw']}")
    return Outcome(Result.SUCCEEDED, {"said": f"<{inputs['pw']}>", "hunted": "hunter22"})


async def test_a_step_is_given_the_value_and_hands_nothing_of_it_on(house: House) -> None:
    task = await house.begin(**BOUND)
    house.ask.script = _say
    step = await house.done(task)
    assert (step.result, step.outputs) == (Result.SUCCEEDED, {"said": "<********>", "hunted": "hunter22"})
    lines = [each.message for each in await house.logged(task)]
    assert lines == ["credential core used by step a (0), as its pw", "given ********"]
    (need,) = house.credentials.asked
    assert (need.referrals, need.device) == ((Referral("pw", "core", ("admin",)),), None)
    assert SECRET not in repr(await house.store.load(task.execution_id))


async def _fails(inputs: PlainValues, context: StepContext) -> Outcome:
    context.mark_sent()
    raise RuntimeError(f"cannot use {inputs['pw']}")


async def test_a_step_type_that_breaks_does_not_show_the_value_in_the_log_of_the_service(house: House) -> None:
    task = await house.begin(**BOUND)
    house.ask.script = _fails
    with capture_logs() as logged:
        step = await house.done(task)
    assert step.result is Result.UNKNOWN
    assert "cannot use ********" in repr(logged)
    assert SECRET not in repr((logged, step))


@pytest.mark.parametrize("code", [ErrorCode.CREDENTIAL_REFUSED, ErrorCode.CREDENTIAL_UNAVAILABLE])
async def test_what_cannot_be_opened_is_a_failure_and_never_a_doubt(house: House, code: ErrorCode) -> None:
    task = await house.begin(**BOUND)
    house.credentials.value = CredentialError(code, "Vault is sealed")
    step = await house.done(task)
    assert (step.result, step.error and step.error.code, house.ask.runs) == (Result.FAILED, code, 0)


async def test_a_place_that_never_answers_ends_with_the_time_limit_as_a_failure(house: House) -> None:
    task = await house.begin(policy={"timeoutSeconds": 5}, **BOUND)
    house.credentials.is_slow = True
    carrying = house.carry_out(task)
    await house.clock.until_sleeping_for(5)
    await house.clock.advance(5)
    await carrying
    step: StepExecution = await house.step(task)
    assert (step.result, step.error and step.error.code, house.ask.runs) == (Result.FAILED, ErrorCode.TIMEOUT, 0)


async def test_a_credential_that_the_store_does_not_give_is_asked_for_again_and_nothing_is_begun(house: House) -> None:
    task = await house.begin(**BOUND)
    house.ask.script = _say
    house.credentials.value = StoreError("the database says no")
    carrying = house.carry_out(task)
    await house.clock.until_sleeping_for(STORE_PAUSES[0])
    assert house.ask.runs == 0
    house.credentials.value = SECRET
    await house.clock.advance(STORE_PAUSES[0])
    await carrying
    assert (await house.step(task)).result is Result.SUCCEEDED


async def test_a_use_that_cannot_be_written_down_waits_and_nothing_is_begun(house: House) -> None:
    task = await house.begin(**BOUND)
    house.ask.script = _say
    house.credentials.is_asked = lambda: setattr(house.database, "refuses", True)
    carrying = house.carry_out(task)
    await house.clock.until_sleeping_for(STORE_PAUSES[0])
    assert (len(house.credentials.asked), house.ask.runs) == (1, 0)
    house.database.refuses = False
    await house.clock.advance(STORE_PAUSES[0])
    await carrying
    assert (await house.step(task)).result is Result.SUCCEEDED


HOP, TARGET = Device("hop-1", 22), Device("core-7", 22)


async def _asks_the_inventory(_inputs: PlainValues, context: StepContext) -> Outcome:
    known = (await context.inventory()).device_at("core-7", 22)
    assert known is not None
    assert known.login.password is not None
    values = [await context.secret(known.login.password, at) for at in (TARGET, HOP, TARGET)]
    context.mark_sent()
    await context.log(f"given {values[0]}")
    return Outcome(Result.SUCCEEDED, {"said": f"<{values[0]}>", "hunted": "hunter22"})


async def test_a_credential_of_the_inventory_is_opened_once_for_each_place_and_shown_nowhere(house: House) -> None:
    document = {"devices": {"core-7": {"addresses": ["core-7"], "login": {"password": {"credential": "core"}}}}}
    found = read_inventory(document).inventory
    assert found is not None
    house.inventory.known = found
    task = await house.begin()
    house.ask.script = _asks_the_inventory
    step = await house.done(task)
    assert (step.result, step.outputs) == (Result.SUCCEEDED, {"said": "<********>", "hunted": "hunter22"})
    assert [(need.device, need.referrals) for need in house.credentials.asked] == [
        (place, (Referral(OF_INVENTORY, "core", ("admin",)),)) for place in (TARGET, HOP)
    ]
    assert [each.message for each in await house.logged(task)] == [
        "credential core used for core-7:22 by step a (0), as the inventory says",
        "credential core used for hop-1:22 by step a (0), as the inventory says",
        "given ********",
    ]


async def _opens(_inputs: PlainValues, context: StepContext) -> Outcome:
    try:
        await context.secret(Reference("core"), TARGET)
    except CredentialError as error:
        return Outcome(Result.FAILED, error=StepError(error.code, str(error)))
    return Outcome(Result.SUCCEEDED)


async def test_what_the_inventory_names_and_nobody_may_use_is_told_to_the_step_type(house: House) -> None:
    task = await house.begin()
    house.ask.script = _opens
    house.credentials.value = CredentialError(
        ErrorCode.CREDENTIAL_REFUSED, "nothing was sent: no credential called 'core' may be used here"
    )
    step = await house.done(task)
    assert (step.result, step.error) == (
        Result.FAILED, StepError(ErrorCode.CREDENTIAL_REFUSED, "nothing was sent: no credential called 'core' may be used here")
    )  # fmt: skip


async def _is_refused_once(_inputs: PlainValues, context: StepContext) -> Outcome:
    for anew in (False, True, False):
        await context.secret(Reference("core"), TARGET, anew=anew)
    return Outcome(Result.SUCCEEDED)


async def test_a_credential_that_the_target_has_refused_is_opened_anew_where_the_step_type_asks(house: House) -> None:
    task = await house.begin()
    house.ask.script = _is_refused_once
    assert (await house.done(task)).result is Result.SUCCEEDED
    assert [need.device for need in house.credentials.asked] == [TARGET, TARGET]
