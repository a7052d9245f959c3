"""What goes wrong in a schedule, and how often. Each kind of trouble is absent from many schedules, so that each also meets a quiet world."""

from dataclasses import dataclass, replace
from random import Random

from stepswitch.engine.crash_points import CrashPoint


@dataclass(frozen=True, slots=True)
class Weather:
    """How often what happens: between 0 and 1 for each chance, in mean seconds between two for the rest; None is never."""

    seconds: float = 0.0
    """How long the storm lasts."""
    disorder: float = 0.0
    crash_seconds: float | None = None
    crash_at_point: float = 0.0
    fatal_point: CrashPoint | None = None
    """A place where the process dies more often than not."""
    stop_seconds: float | None = None
    commit_fails: float = 0.0
    statement_fails: float = 0.0
    wake_up_lost: float = 0.0
    wake_up_doubled: float = 0.0
    delivered_twice: float = 0.0
    cancel_lost: float = 0.0
    message_lost: float = 0.0
    message_doubled: float = 0.0
    message_late: float = 0.0
    worker_freezes_seconds: float | None = None
    process_freezes_seconds: float | None = None
    clock_jumps_seconds: float | None = None
    restore_seconds: float | None = None
    """Between two backups that are restored a while later."""
    device_trouble: float = 0.0
    device_stuck: float = 0.0
    deadly: float = 0.0
    """How often the process dies of what it sends to the deadly device."""
    lingering: float = 0.0
    """How often something stays at its target although its step has ended, or cannot be removed at once."""
    steering: float = 0.0
    """How much of what people do is no mere creating and reading."""
    locking: float = 0.0
    """How many of the steps want a lock."""
    calling: float = 0.0
    """How many of the steps wait for another execution."""


CALM = Weather()
_AT_A_STOP = frozenset({CrashPoint.GIVEBACK_UNSAVED, CrashPoint.GIVEBACK_SAVED})


def draw(random: Random) -> Weather:
    """Return the weather of a schedule."""

    def rate(most: float, *, absent: float = 0.5) -> float:
        return 0.0 if random.random() < absent else random.random() * most

    def mean(least: float, most: float, *, absent: float = 0.5) -> float | None:
        return None if random.random() < absent else least + random.random() * (most - least)

    weather = Weather(
        seconds=60.0 + random.random() * 180.0,
        disorder=random.choice([0.0, 0.2, 1.0]),
        crash_seconds=mean(20.0, 120.0),
        crash_at_point=rate(0.02),
        fatal_point=None if random.random() < 0.5 else random.choice(list(CrashPoint)),
        stop_seconds=mean(30.0, 120.0, absent=0.8),
        commit_fails=rate(0.1),
        statement_fails=rate(0.01, absent=0.7),
        wake_up_lost=rate(0.5),
        wake_up_doubled=rate(0.5),
        delivered_twice=rate(0.5),
        cancel_lost=rate(0.5),
        message_lost=rate(0.3),
        message_doubled=rate(0.5),
        message_late=rate(0.2),
        worker_freezes_seconds=mean(10.0, 60.0),
        process_freezes_seconds=mean(30.0, 120.0, absent=0.7),
        clock_jumps_seconds=mean(20.0, 100.0, absent=0.7),
        restore_seconds=mean(30.0, 120.0, absent=0.8),
        device_trouble=rate(0.6, absent=0.2),
        device_stuck=rate(0.2, absent=0.7),
        deadly=rate(1.0),
        lingering=rate(0.6, absent=0.4),
        steering=rate(1.0, absent=0.2),
        locking=rate(0.7, absent=0.4),
        calling=rate(0.4, absent=0.5),
    )
    # There is something to give back only where the service stops while a step is claimed and not sent: seldom, unless it stops often.
    return replace(weather, stop_seconds=20.0) if weather.fatal_point in _AT_A_STOP else weather
