"""What has to be true of executions that wait for others, after a schedule."""

from collections import Counter
from collections.abc import Mapping
from typing import Final

from stepswitch.domain.errors import ErrorCode
from stepswitch.domain.execution import Result, Status, StepExecution
from tests.simulation.documents import CALLS
from tests.simulation.schedule import Schedule
from tests.simulation.stories import Story, hold

_ENDS: Final = {ErrorCode.CHILD_FAILED: Status.FAILED, ErrorCode.CHILD_ABORTED: Status.ABORTED}
Stories = Mapping[str, Story]


def families_are_whole(stories: Stories, schedule: Schedule) -> None:
    """Every execution that was begun for a step is that step's only one, and the step has ended as it did."""
    deleted, met = schedule.memory.deleted, schedule.city.met
    begun = Counter((link.execution_id, link.number) for story in stories.values() if (link := story.head.parent) is not None)
    hold(all(count == 1 for count in begun.values()), f"several executions were begun for the same step: {begun.most_common(1)}")
    for name, story in stories.items():
        _has_a_parent(name, story, stories, deleted)
        for step in story.steps:
            if story.workflows[step.snapshot_id].steps[step.step_id].type == CALLS:
                _ended_as_its_child(story, step, stories, deleted)
                met[f"a step that waits for an execution ended {step.result}"] += 1
        met["an execution was begun for one that was begun for another"] += story.head.parent is not None and story.head.parent.depth > 1


def _has_a_parent(name: str, story: Story, stories: Stories, deleted: set[str]) -> None:
    link = story.head.parent
    if link is None or (parent := stories.get(link.execution_id)) is None:
        hold(link is None or link.execution_id in deleted, f"{name} was begun for {link}, which is lost")
        return
    child = parent.steps[link.number].child if link.number < len(parent.steps) else None
    hold(child is not None and child.execution_id == name, f"{name} was begun for {link}, which knows of {child}")


def _ended_as_its_child(story: Story, step: StepExecution, stories: Stories, deleted: set[str]) -> None:
    where = f"step {step.number} of {story.head.id}"
    hold(step.result is not Result.UNKNOWN, f"{where} is UNKNOWN, although the execution that it waits for can be looked at")
    child = step.child
    if child is None:
        hold(step.result is not Result.SUCCEEDED, f"{where} has ended well, and began nothing")
        return
    other = stories.get(child.execution_id)
    code = None if step.error is None else step.error.code
    if other is None:
        hold(child.execution_id in deleted, f"{where} has begun {child.execution_id}, which is lost")
        return
    hold(code is not ErrorCode.CHILD_GONE, f"{where} says that {child.execution_id} is gone, which is there")
    ended = Status.COMPLETED if step.result is Result.SUCCEEDED else _ENDS.get(code) if code is not None else None
    is_true = ended is None or other.said(f"ended {ended}") > 0
    hold(is_true, f"{where} ended {step.result} ({code}), and the execution that it waited for {other.head.status}")
