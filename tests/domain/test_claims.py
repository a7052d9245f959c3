"""Claims: a step with effects is never given to two, and whoever asks gets an answer that is still true."""

import pytest

from stepswitch.domain.decide import DEADLINE_GRACE_SECONDS, is_for_worker, time_limit_seconds
from stepswitch.domain.events import Claimed, Reply
from stepswitch.domain.execution import Claim, Result, Status
from stepswitch.domain.states import StepState as S
from tests.domain.lives import START, TYPES, life


def test_a_claim_is_stored_with_its_deadline() -> None:
    one = life("a")
    one.now += 7
    assert one.claim("n") is Reply.GRANTED
    assert (one.status, one.at) == (Status.RUNNING, ("a", S.EXECUTING))
    assert one.step.claim == Claim("n", "w1", START + 7 + 60_000 + round(DEADLINE_GRACE_SECONDS * 1000))
    assert one.step.claimed_time == one.head.start_time == START + 7
    assert not one.tasks


def test_a_late_claim_says_when_its_attempt_began() -> None:
    one = life("a", of="LOOK")
    begun = one.step
    one.now += 500
    late = Claimed("claim:n", 0, 1, "n", "w1", has_waited=True, since=begun.since, started=START + 400)
    assert one.apply(late).reply is Reply.GRANTED
    assert one.step.claimed_time == one.head.start_time == START + 400
    assert one.said("started")


def test_a_late_claim_of_what_was_corrected_meanwhile_is_stale() -> None:
    one = life("a", of="LOOK")
    begun = one.step
    one.now += 1
    one.pause()
    one.resume()
    assert one.apply(Claimed("claim:n", 0, 1, "n", "w1", since=begun.since, started=START)).reply is Reply.STALE
    assert one.at == ("a", S.EXECUTABLE)


def test_a_second_worker_is_told_that_it_is_busy() -> None:
    one = life("a")
    one.claim("n")
    before = one.head
    assert one.claim("m", instance="w2") is Reply.BUSY
    assert one.head is before


def test_the_same_claimant_is_granted_again() -> None:
    one = life("a")
    one.claim("n")
    before = one.head
    assert one.claim("n") is Reply.GRANTED
    assert one.head is before


def test_a_claim_of_what_is_behind_is_stale() -> None:
    one = life("a", "b")
    first = one.step
    one.ends()
    assert one.claim("late", of=first) is Reply.STALE
    assert one.claim("n0", of=first) is Reply.STALE
    assert one.at == ("b", S.EXECUTABLE)


def test_a_claim_of_another_attempt_is_stale() -> None:
    one = life("a")
    assert one.apply(Claimed("c", 0, 2, "n", "w")).reply is Reply.STALE
    assert one.apply(Claimed("c", 1, 1, "n", "w")).reply is Reply.STALE


def test_a_claim_of_what_waits_for_a_person_is_stale() -> None:
    one = life("a", debug=("a",))
    assert one.claim() is Reply.STALE
    assert one.status is Status.PAUSED


def test_a_claim_of_what_has_ended_is_stale() -> None:
    one = life("a")
    one.abort()
    assert one.claim() is Reply.STALE


def test_a_claim_of_a_step_that_needs_no_worker_is_stale() -> None:
    one = life("a", of="NOOP")
    assert one.claim() is Reply.STALE


def test_the_policy_says_how_long_an_attempt_may_take() -> None:
    one = life("a", "b", a={"policy": {"timeoutSeconds": 5}})
    assert time_limit_seconds(one.workflow, TYPES, "a") == 5
    assert time_limit_seconds(one.workflow, TYPES, "b") == 60
    one.claim()
    assert one.step.claim is not None
    assert one.step.claim.deadline == START + 5_000 + round(DEADLINE_GRACE_SECONDS * 1000)


def test_a_safe_step_is_asked_for_without_a_claim() -> None:
    one = life("a", "b", of="LOOK")
    task = one.task
    assert is_for_worker(one.head, task, one.workflow, one.rules, one.now)
    assert one.report(nonce=None)
    assert not is_for_worker(one.head, task, one.workflow, one.rules, one.now)


# --- what is given back ---


def test_what_was_not_sent_is_given_back_in_its_old_place_in_line() -> None:
    one = life("a")
    since = one.step.since
    one.now += 5_000
    one.claim()
    one.now += 5_000
    assert one.give_back().reply is Reply.DONE
    assert (one.at, one.step.attempt, one.step.claimed_time, one.status) == (("a", S.EXECUTABLE), 1, None, Status.RUNNING)
    assert one.task.since == since
    one.claim("other")
    one.report(nonce="other")
    assert one.story == [("a", S.FINISHED, Result.SUCCEEDED)]


def test_only_whoever_holds_the_claim_gives_it_back() -> None:
    one = life("a")
    one.claim("mine")
    before = one.head
    for nonce, epoch in (("other", ""), ("mine", "before a restore")):
        assert one.give_back(nonce, epoch=epoch).reply is Reply.STALE
    assert one.head is before


@pytest.mark.parametrize("follows", ["is_lost", "ends", "abort"])
def test_what_others_have_decided_on_is_not_given_back(follows: str) -> None:
    one = life("a", pause_at_failure=True)
    if follows == "abort":
        one.claim()
    getattr(one, follows)()
    before = one.head
    assert one.give_back().reply is Reply.STALE
    assert one.head is before


@pytest.mark.parametrize("is_stored_first", [True, False])
def test_a_claim_that_was_given_back_is_granted_to_nobody_any_more(*, is_stored_first: bool) -> None:
    """Its message may be on its way still, or come twice: then nobody would carry the step out, and it would end in doubt."""
    one = life("a")
    if is_stored_first:
        one.claim("mine")
    assert one.give_back("mine").reply is Reply.DONE
    assert one.claim("mine") is Reply.STALE
    assert one.at == ("a", S.EXECUTABLE)
    assert one.claim("other") is Reply.GRANTED


def test_a_pause_that_was_asked_for_meanwhile_holds_what_is_given_back() -> None:
    one = life("a", "b")
    one.claim()
    one.pause()
    one.give_back()
    assert (one.status, one.at, one.tasks) == (Status.PAUSED, ("a", S.WAITING_BEFORE), ())
    one.resume()
    assert one.claim("other") is Reply.GRANTED
    one.report(nonce="other")
    assert one.at == ("b", S.EXECUTABLE)


def test_a_delay_that_is_over_is_not_waited_for_again() -> None:
    one = life("a", a={"policy": {"delaySeconds": 10}})
    one.now += 10_000
    one.claim()
    one.now -= 60_000
    one.give_back()
    assert one.task.not_before is None
    assert one.claim("other") is Reply.GRANTED
