"""What a restored store does to an execution: it waits for a person before anything that the lost time may have done already.

Called by `decide`. Between the backup and the restore the real system went on: what stands here as the next step may have been
carried out. Safe steps run again, and probes look again; before the first that is not safe, somebody has to say where to go on (docs/decisions/0007).
"""

from datetime import UTC, datetime

from stepswitch.domain import doubts, flow
from stepswitch.domain.errors import ErrorCode
from stepswitch.domain.events import Decision, Reply, Restored
from stepswitch.domain.execution import ENDED, LogLevel
from stepswitch.domain.progress import Progress
from stepswitch.domain.states import StepState


def restore(p: Progress, event: Restored) -> Decision:
    """Return what follows for an execution that was not over in the backup; one that was stays as it is."""
    if p.status in ENDED:
        return Decision(p.head, Reply.DONE)
    moment = datetime.fromtimestamp(event.backed_up_at / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    p.change(epoch=event.epoch)
    p.log(f"restored from the backup of {moment}; what happened since then is not known here", LogLevel.WARN)
    if p.step.awaits is not None:
        p.change(holds_unsafe=True)  # whatever became of it, the lost time may have seen more
    elif p.step.work.state is StepState.EXECUTING:
        p.change(holds_unsafe=True)
        _lose(p, f"the store was restored from the backup of {moment}, in which this step was being carried out")
    elif p.step.work.state is StepState.EXECUTABLE:
        _hold_or_go_on(p)
    else:
        p.pause(f"still paused at step {p.step.step_id}: {flow.RESTORED_AFTER}", ErrorCode.RESTORED)
    return p.decision(event.id)


def _lose(p: Progress, reason: str) -> None:
    if p.step.look is None:
        flow.lose(p, reason, ErrorCode.RESTORED)
    else:
        doubts.lost(p, reason)


def _hold_or_go_on(p: Progress) -> None:
    if p.step.look is not None or flow.is_safe(p):
        p.change(holds_unsafe=True)
        flow.dispatch(p)
    else:
        flow.hold(p, flow.RESTORED_BEFORE, ErrorCode.RESTORED)
