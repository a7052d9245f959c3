"""What has to be true of every execution after a schedule: the promises, one by one."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from stepswitch.domain.execution import ENDED, Head, LogEntry, Result, Verdict
from stepswitch.domain.flow import MAX_LOSSES
from stepswitch.domain.parsing import parse
from stepswitch.domain.states import TERMINAL
from stepswitch.engine.records import WHOLE_LOG, LogPage
from stepswitch.storage.accounts import SqlAccountStore
from tests.simulation.devices import City, Told, encoded
from tests.simulation.documents import ACTING, EDITED, FIRST_WORD
from tests.simulation.encounters import rules_in
from tests.simulation.families import families_are_whole
from tests.simulation.people import Act, Answer, ask, shown, somebody_of
from tests.simulation.restoring import GHOST
from tests.simulation.schedule import Schedule
from tests.simulation.service import Life
from tests.simulation.stories import Story, hold
from tests.simulation.watch import BrokenPromiseError

ONCE = frozenset({"resume", "retry", "values", "edit", "break"})
"""What leaves exactly one line in the log whenever it is done; an abort of what is aborted leaves none."""


async def check(schedule: Schedule) -> None:
    """Raise BrokenPromiseError where a promise was broken."""
    stories = {head.id: await _story(schedule, head) for head in await schedule.heads()}
    nothing_is_lost(schedule, stories)
    for story in stories.values():
        told = [each for each in schedule.city.told if each.execution_id == story.head.id]
        the_story_is_whole(story)
        nothing_is_sent_twice(story, told)
        no_step_kills_for_ever(story)
        a_restore_waits_for_people(story, schedule.city)
        results_are_true(story, told, schedule)
        edits_are_whole(story)
        what_was_written_is_there(story)
        nothing_is_left_at_a_target(story)
        acts_are_done_once(story, [act for act in schedule.memory.acts if act.execution_id == story.head.id])
        note_rules(story, schedule.city.met)
    families_are_whole(stories, schedule)
    nothing_is_forgotten_at_a_target(schedule.city)
    await files_are_whole(schedule, stories)
    nothing_is_left_over(schedule)
    await one_administrator_is_there(schedule)
    await no_secret_can_be_read(schedule, stories)
    schedule.check_breaches()


async def _story(schedule: Schedule, head: Head) -> Story:
    steps = [*await schedule.stored.steps(head.id, 0, 1_000), *([head.current] if head.current else [])]
    logs: list[LogEntry] = []
    page: LogPage | None = WHOLE_LOG
    while page is not None:
        entries, page = await schedule.stored.logs(head.id, page)
        logs += entries
    workflows = {}
    for snapshot_id in {step.snapshot_id for step in steps} | {head.snapshot_id}:
        snapshot = await schedule.stored.snapshot(snapshot_id)
        hold(snapshot is not None, f"the snapshot {snapshot_id} of {head.id} is gone")
        workflow = parse(snapshot.document).workflow if snapshot is not None else None
        if workflow is not None:
            workflows[snapshot_id] = workflow
    return Story(head, steps, logs, workflows)


def note_rules(story: Story, met: Counter[str]) -> None:
    """Take note of the rules that an execution has followed."""
    met.update(rules_in([entry.message for entry in story.logs]))
    for step in story.steps:
        met[f"a step ended {step.result}"] += 1
        met["a step was lost three times"] += step.losses >= MAX_LOSSES
        if step.probe is not None and step.probe.verdict is not None:
            met[f"a probe found {step.probe.verdict}"] += 1
    visits = Counter(step.step_id for step in story.steps if step.attempt == 1)
    met["a step was visited again"] += any(count > 1 for count in visits.values())
    met["a failure was accepted"] += story.head.accepted_failures


def no_step_kills_for_ever(story: Story) -> None:
    """A step that is lost as often as it is run is given up, until a probe or somebody says that it may run again."""
    worst = max((step.losses - step.reruns for step in story.steps), default=0)
    hold(worst <= MAX_LOSSES, f"{story.head.id} has lost the same step {worst} times, and ran it again each time")


def a_restore_waits_for_people(story: Story, city: City) -> None:
    """What was not over in a backup sends nothing until somebody says so, but for what is safe, and what a probe found not done."""
    is_believed = story.head.values.get("last") == GHOST and story.head.epoch != city.haunted[story.head.id]
    hold(not is_believed, f"{story.head.id} believes a worker of before its restore")
    if story.head.id not in city.restored:
        return
    for told in (each for each in city.told[city.told_before :] if each.execution_id == story.head.id):
        step, before = story.steps[told.number], story.steps[told.number - 1]
        is_not_done = step.attempt > 1 and before.probe is not None and before.probe.verdict is Verdict.NOT_DONE
        is_sure = story.is_safe(step) or is_not_done or is_wanted(story, told)
        hold(is_sure, f"{told} was sent after a restore, and nobody wanted it")


def is_wanted(story: Story, told: Told) -> bool:
    """Return whether something was sent after somebody had said since the last restore that it goes on."""
    lines = [entry.message for entry in story.logs]
    until = next((place for place, line in enumerate(lines) if told.nonce in line), len(lines))
    restores = [place for place, line in enumerate(lines[:until]) if line.startswith("restored from the backup")]
    return any("resumed by" in line or "retry asked for by" in line for line in lines[max(restores, default=0) : until])


async def files_are_whole(schedule: Schedule, stories: Mapping[str, Story]) -> None:
    """Every file of an execution has its content, and one that nobody has is gone."""
    used = {file_id for story in stories.values() for file_id in story.head.attachments.values()}
    for story in stories.values():
        for key in story.head.attachments:
            await ask(schedule, lambda life, head=story.head, key=key: _content(life, head, key))  # type: ignore[misc]
    await ask(schedule, lambda life: life.files.sweep())
    kept = {file_id for (file_id,) in schedule.disk.rows("SELECT id FROM files")}
    hold(kept == used, f"there are the files {kept}, and {used} are wanted")


async def _content(life: Life, head: Head, key: str) -> bytes:
    return await life.files.read(await life.steering.attachment(somebody_of(head), head.id, key))


async def one_administrator_is_there(schedule: Schedule) -> None:
    """The first account is there once, with the password that was told last."""
    hashes = [account.password_hash for account in await SqlAccountStore(schedule.disk).accounts(None)]
    wanted = [f"hash of {password}" for password in schedule.city.passwords[-1:]]
    hold(hashes == wanted, f"the first account has {hashes}, and {wanted} was told last")


def nothing_is_lost(schedule: Schedule, stories: Mapping[str, Story]) -> None:
    memory = schedule.memory
    lost = set(memory.all_accepted) - stories.keys() - memory.deleted
    hold(not lost, f"accepted executions are lost: {lost}")
    for name, story in stories.items():
        hold(story.head.status in ENDED, f"{name} is {story.head.status}")
        undeleted = any(act.kind == "delete" and act.answer is Answer.DONE and act.execution_id == name for act in memory.acts)
        hold(not undeleted, f"{name} was deleted and is still there")
    asked_for = Counter(story.head.workflow_id for story in stories.values() if story.head.parent is None)
    twice = [workflow_id for workflow_id, count in asked_for.items() if count > 1]
    hold(not twice, f"one request has made two executions: {twice}")


def the_story_is_whole(story: Story) -> None:
    numbers = [step.number for step in story.steps]
    hold(numbers == list(range(story.head.steps_begun)), f"{story.head.id} has the step executions {numbers}")
    hold(all(step.state in TERMINAL and step.result is not None for step in story.steps), f"{story.head.id} left a step unfinished")
    hold(story.said("queued by") == 1, f"{story.head.id} was queued {story.said('queued by')} times")
    hold(story.said("started") <= 1, f"{story.head.id} started {story.said('started')} times")
    own = Counter(entry.message for entry in story.logs if "logs in with" in entry.message or "was told" in entry.message)
    twice = [message for message, count in own.items() if count > 1]
    hold(not twice, f"a step's log has lines twice: {twice}")


def nothing_is_sent_twice(story: Story, told: Sequence[Told]) -> None:
    """No step whose command may have arrived is run again, unless it failed for certain, is safe, or a person wanted it."""
    numbers = {each.number for each in told}
    wanted = story.said("retry asked for by")
    unasked = [
        before
        for before, after in pairwise(story.steps)
        if after.attempt > 1 and before.number in numbers and before.result is not Result.FAILED and not story.is_safe(before)
    ]
    hold(len(unasked) <= wanted, f"{story.head.id} sent again what may have arrived, unasked: {unasked[wanted:]}")


def results_are_true(story: Story, told: Sequence[Told], schedule: Schedule) -> None:
    numbers = {each.number for each in told}
    known = numbers | {each.number for each in schedule.city.forgotten if each.execution_id == story.head.id}
    for step in story.steps:
        type_ = story.workflows[step.snapshot_id].steps[step.step_id].type
        if type_ not in ACTING:
            continue
        if step.probe is not None and step.probe.verdict in (Verdict.DONE, Verdict.NOT_DONE):
            was_done = step.probe.verdict is Verdict.DONE
            hold(was_done == (step.number in known), f"the probe of {story.head.id} found {step.probe.verdict} for {step}")
        elif step.result is Result.SUCCEEDED and step.outputs.get("token") != GHOST:  # of a ghost `a_restore_waits_for_people` has heard
            ended = schedule.city.ended.get(step.claim.nonce) if step.claim is not None else None
            if ended is None or ended.result is not Result.SUCCEEDED:
                raise BrokenPromiseError(f"{story.head.id} says {step} succeeded; its device does not")
            hold(step.outputs.get("token") == ended.outputs["token"], f"{step} of {story.head.id} has what another attempt put out")
        if step.result is Result.SKIPPED or (step.error is not None and "nothing was sent" in step.error.message):
            hold(step.number not in numbers, f"{story.head.id} says that nothing was sent by {step}")


def nothing_is_left_at_a_target(story: Story) -> None:
    """Whatever may have been left behind was confirmed to be gone, and whatever was lost has left something."""
    hold(not story.head.left_behind, f"{story.head.id} may have left something at its target: {story.head.left_behind}")
    told = ("its session at the target is closed", "nothing of it is left at the target")
    silent = [step.number for step in story.steps if step.losses and not any(story.said_by(step.number, each) for each in told)]
    lost = {entry.step for entry in story.logs if entry.message.startswith("lost: ")}
    hold(not lost & set(silent), f"{story.head.id} does not say what became of the sessions of {lost & set(silent)}")


def nothing_is_forgotten_at_a_target(city: City) -> None:
    """Whatever was started at a target is gone, but for what was started in a time that a restore has taken away."""
    left = [thing for nonce, thing in city.things.items() if nonce not in city.unknown_things]
    hold(not left, f"it stands at its target, and nobody knows of it: {[(thing.name, thing.nonce) for thing in left]}")


def edits_are_whole(story: Story) -> None:
    """The steps that are edited together have the same words, in every snapshot that any step was run from."""
    for workflow in story.workflows.values():
        words = {binding.default for name in EDITED for binding in workflow.steps[name].in_bindings if binding.name == "word"}
        hold(len(words) == 1, f"an edit of {story.head.id} is half applied: {words}")
        (word,) = words
        reason = str(word).removeprefix("v")
        hold(word == FIRST_WORD or story.said(reason) > 0, f"an edit of {story.head.id} is there, and its log does not say so: {word}")


def what_was_written_is_there(story: Story) -> None:
    """The variable that every step writes has what the last of them wrote, and the one that people write what they wrote."""
    tokens = [step.variables["last"] for step in story.steps if "last" in step.variables]
    wanted = tokens[-1] if tokens else None
    hold(story.head.values.get("last") == wanted, f"{story.head.id} has {story.head.values.get('last')}, and {wanted} was written last")


def acts_are_done_once(story: Story, acts: Iterable[Act]) -> None:
    for act in acts:
        times = {entry.time for entry in story.logs if f"{entry.message};".find(f": {act.reason};") >= 0}
        hold(len(times) <= 1, f"{act} was done {len(times)} times in {story.head.id}")
        if act.answer is Answer.REFUSED:
            hold(not times, f"{act} was refused, and done all the same")
        if act.answer is Answer.DONE and act.kind in ONCE:
            hold(len(times) == 1, f"{act} was answered as done, and was not")


def nothing_is_left_over(schedule: Schedule) -> None:
    """No row belongs to an execution that is gone, and nobody holds a claim on what has ended."""
    for table in ("claims", "locks", "logs", "step_executions", "large_values", "snapshot_uses"):
        strays = schedule.disk.rows(f"SELECT DISTINCT execution_id FROM {table} WHERE execution_id NOT IN (SELECT id FROM executions)")
        hold(not strays, f"{table} has rows of executions that are gone: {strays}")
    hold(not schedule.disk.rows("SELECT * FROM claims"), "there are claims, although everything has ended")
    hold(not schedule.disk.lines(), f"somebody stands in line for a lock, although everything has ended: {schedule.disk.lines()}")
    used = "SELECT snapshot_id FROM executions UNION SELECT snapshot_id FROM snapshot_uses"
    hold(not schedule.disk.rows(f"SELECT id FROM snapshots WHERE id NOT IN ({used})"), "there are snapshots that nobody has")


async def no_secret_can_be_read(schedule: Schedule, stories: Mapping[str, Story]) -> None:
    """Neither what people were shown, nor the log of the service, nor what is shown of anything now has a secret in any form."""
    heads = [story.head for story in stories.values()]
    shows = [shown(await ask(schedule, lambda life, head=head: life.views.execution(somebody_of(head), head.id))) for head in heads]  # type: ignore[misc]
    stored = [entry.message for story in stories.values() for entry in story.logs]
    told = [*schedule.memory.heard, *map(str, schedule.said), *shows, *stored]
    forms = [form for secret in schedule.memory.secrets for form in (secret, encoded(secret))]
    whole = "\n".join(told)
    readable = [form for form in forms if form in whole]
    hold(not readable, f"{readable} can be read: {[text for text in told if any(form in text for form in readable)][:3]}")
