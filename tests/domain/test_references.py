"""Risk: a credential that somebody put where it is becomes another one's, or something else is taken for one."""

from stepswitch.domain.references import Reference, SignedReference, reference_in, signed


def test_what_somebody_has_put_there_stays_his() -> None:
    values = {"new": Reference("core"), "toms": SignedReference("core", "tom"), "text": '{"credential": "core"}'}
    assert signed(values, "eve") == values | {"new": SignedReference("core", "eve")}
    assert values["new"] == Reference("core")


def test_only_an_object_with_a_name_and_nothing_else_is_a_credential() -> None:
    assert reference_in({"credential": "core"}) == reference_in(Reference("core")) == Reference("core")
    for other in ({}, {"credential": ""}, {"credential": 7}, {"credential": "a\nb"}, {"credential": "core", "more": 1}):
        assert reference_in(other) is None
