"""The machine's own clock and names."""

import uuid

from stepswitch.system import SystemClock, TimeOrderedIds


def test_ids_are_uuids_of_version_7_all_different_and_as_old_as_they_say() -> None:
    ids, clock = TimeOrderedIds(), SystemClock()
    before = clock.now()
    made = [uuid.UUID(ids.new()) for _ in range(1_000)]  # more than are made of one piece of randomness
    after = clock.now()
    times = [each.int >> 80 for each in made]
    assert {(each.version, each.variant) for each in made} == {(7, uuid.RFC_4122)}
    assert before <= times[0] <= times[-1] <= after
    assert times == sorted(times)
    assert len({each.int & (1 << 62) - 1 for each in made}) == 1_000
