"""The command line of each platform. Risks: a refused line passes for done, what follows it is typed all the same, half a change is committed.

The routers are those of `tests/routers`, which behave as the vendors' documents say.
"""

import pytest
import re2  # type: ignore[import-untyped]  # it has no types

from stepswitch.plugin import ErrorCode, Result
from stepswitch.steps.ssh_manners import manners_of
from stepswitch.steps.ssh_platforms import PLATFORMS, QUESTION, Platform
from tests.routers.iosxr import REFUSED_AT_COMMIT, IosXrShell
from tests.routers.junos import REFUSED_AT_COMMIT as REFUSED_BY_JUNOS
from tests.routers.junos import JunosShell
from tests.routers.sros import MdShell
from tests.steps.shells import KINDS, Kind, each_kind, said, talking

LOG = "".join(f"line {number} of the log\n" for number in range(1, 36))
pytestmark = pytest.mark.usefixtures("quickly_settled")
RENAMED = [pytest.param(kind, id=kind.id) for kind in KINDS if kind.rename]

# --- a configuration ---------------------------------------------------------------------------------------------------


@each_kind
async def test_a_rejected_third_line_of_five_fails_and_is_named_and_no_later_line_is_sent_or_committed(kind: Kind) -> None:
    async with talking(kind) as talk:
        outcome = await talk.say(*kind.bad.splitlines())
        result, code, sentence = said(outcome)
        assert (result, code) == ("FAILED", ErrorCode.LINE_REFUSED)
        assert "line 3 of 5 (colour the sky blue): the router refused it: " in sentence
        assert "the 2 lines after it were not sent" in sentence
        received = talk.device.received
        after = received[received.index("colour the sky blue") + 1 :]
        assert after in [list(way.lines) for way in PLATFORMS[kind.platform].exits], "the way out, and nothing else"
        assert talk.context.sent
        assert talk.device.candidate == []
        assert bool(talk.device.running) == kind.stays
        assert ("every line takes effect at once there" in sentence) == kind.stays
        assert ("nothing was committed: what was entered was discarded" in sentence) != kind.stays
        again = await talk.say(kind.version)
    assert again.result is Result.SUCCEEDED, "the router is out of its configuration mode"


@each_kind
async def test_five_good_lines_succeed_and_are_in_effect(kind: Kind) -> None:
    async with talking(kind) as talk:
        outcome = await talk.say(*kind.good)
        assert said(outcome) == ("SUCCEEDED", None, "")
        assert kind.good[2] in talk.device.running
        assert talk.device.candidate == []
        assert [line for line in talk.device.received if line in kind.good][:5] == list(kind.good)


@pytest.mark.parametrize("kind", RENAMED)
async def test_a_prompt_that_changes_its_name_is_followed(kind: Kind) -> None:
    async with talking(kind) as talk:
        assert said(await talk.say(*kind.rename)) == ("SUCCEEDED", None, "")
        assert talk.device.name == "edge-2"
        assert said(await talk.say(kind.version)) == ("SUCCEEDED", None, "")


@pytest.mark.parametrize(
    ("shell", "platform", "lines", "refused"),
    [
        (IosXrShell, "iosxr", ("configure", "interface Gi0/0/0/1", REFUSED_AT_COMMIT, "commit"), "% Failed to commit one or more"),
        (JunosShell, "junos", ("configure private", REFUSED_BY_JUNOS, "set system domain-name example", "commit"), "error: commit failed"),
    ],
)
async def test_a_commit_that_fails_is_a_rejected_line(shell: type[IosXrShell], platform: str, lines: tuple[str, ...], refused: str) -> None:
    async with talking(shell, platform) as talk:
        result, code, sentence = said(await talk.say(*lines))
        assert (result, code) == ("FAILED", ErrorCode.LINE_REFUSED)
        assert f"line 4 of 4 (commit): the router refused it: {refused}" in sentence
        assert "nothing was committed: what was entered was discarded" in sentence
        assert talk.device.running == []


async def test_what_an_earlier_line_committed_is_said_to_stay() -> None:
    async with talking(IosXrShell, "iosxr") as talk:
        _, _, sentence = said(await talk.say("configure", "ntp server 192.0.2.9", "commit", "hostname edge-2", "colour the sky blue"))
        assert talk.device.running == ["ntp server 192.0.2.9"]
    assert sentence.endswith("what line 3 committed stays, what was entered after it was discarded")


@pytest.mark.parametrize(
    ("shell", "platform", "lines"),
    [
        (JunosShell, "junos", ("configure", "set system host-name edge-2", "colour the sky blue")),
        (MdShell, "sros", ("configure global", 'router "Base"', "colour the sky blue")),
        (MdShell, "sros", ("edit-config global", 'router "Base"', "colour the sky blue")),
    ],
)
async def test_what_others_entered_into_a_shared_candidate_is_not_thrown_away(
    shell: type[MdShell], platform: str, lines: tuple[str, ...]
) -> None:
    async with talking(shell, platform) as talk:
        talk.device.candidate.append("what somebody else is at")
        _, code, sentence = said(await talk.say(*lines))
        assert code is ErrorCode.LINE_REFUSED
        assert "others work on the same candidate configuration, so nothing was thrown away" in sentence
        assert talk.device.candidate == ["what somebody else is at", lines[1]]
        assert said(await talk.say("show version"))[0] == "SUCCEEDED"


async def test_a_candidate_that_is_left_without_a_commit_is_discarded_with_a_warning() -> None:
    async with talking(IosXrShell, "iosxr") as talk:
        outcome = await talk.say("configure", "hostname edge-2")
        assert outcome.result is Result.SUCCEEDED
        assert talk.device.running == []
        assert any("nothing was committed: what was entered was discarded" in message for message in talk.context.messages)


# --- paging ------------------------------------------------------------------------------------------------------------


@each_kind
async def test_paging_is_turned_off_before_the_first_line(kind: Kind) -> None:
    async with talking(kind) as talk:
        outcome = await talk.say(kind.log)
        assert (outcome.result, outcome.outputs["outputText"]) == (Result.SUCCEEDED, LOG)
        assert set(talk.device.received) == {*PLATFORMS[kind.platform].prepare, kind.log}
        assert talk.device.terminals == [("vt100", 511)], "so wide that nothing wraps"


@each_kind
async def test_a_router_that_pages_all_the_same_is_paged_through(kind: Kind) -> None:
    async with talking(kind, refuses_paging_off=True) as talk:
        outcome = await talk.say(kind.log)
        assert (outcome.result, outcome.outputs["outputText"]) == (Result.SUCCEEDED, LOG)
        assert kind.log in talk.device.received


# --- what a terminal does ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("echo", ["none", "wrapped", "blank-wrapped", "redrawn", "scrolled"])
@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if kind.id in ("ios", "junos private", "sros md-cli", "vrp")], ids=lambda kind: str(kind.id)
)
async def test_an_echo_is_no_output_however_it_is_drawn(kind: Kind, echo: str) -> None:
    async with talking(kind, echo=echo) as talk:
        long = "colour the sky " + "very " * 30 + "blue"
        lines = [kind.version, kind.log, long]
        _, code, sentence = said(outcome := await talk.say(*lines))
        assert code is ErrorCode.LINE_REFUSED
        assert "line 3 of 3 (colour the sky" in sentence
        text = str(outcome.outputs["outputText"])
        assert LOG in text
        assert "very" not in text
        assert kind.version not in text


@each_kind
async def test_a_greeting_with_false_prompts_and_colours_does_no_harm(kind: Kind) -> None:
    motd = "\x1b[2J\x1b[H***\nno-such#\n<nobody>\nadmin@nowhere>\n--More--\nA:nobody#\nAre you sure? [confirm]\n***\n"
    async with talking(kind, motd=motd, colours=True, drips=True) as talk:
        outcome = await talk.say(kind.version)
        assert outcome.result is Result.SUCCEEDED
        text = str(outcome.outputs["outputText"])
        assert "ersion" in text or "TiMOS" in text or "Junos" in text
        assert "\x1b" not in text
        assert "no-such" not in text


# --- the table -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("platform", PLATFORMS.values(), ids=list(PLATFORMS))
def test_the_prompts_that_the_table_shows_are_prompts(platform: Platform) -> None:
    manners = manners_of(platform, None)
    for shown in platform.prompts:
        *above, prompt = shown.split("⏎")
        assert manners.name_in(prompt), prompt
        assert all(manners.belongs_to_prompt(line) for line in above)


@pytest.mark.parametrize(
    "line",
    [
        "%SYS-5-CONFIG_I: Configured from console by admin on vty0",
        "% Generating 2048 bit RSA keys, keys will be non-exportable...[OK]",
        "%LINK-3-UPDOWN: Interface GigabitEthernet0/1, changed state to up",
        "Last error: none",
        "0 input errors, 0 CRC, Error: 0",
        "INFO: CLI #2061: Uncommitted changes are discarded on configuration mode exit",
        "Info: Succeeded.",
        "warning: uncommitted changes will be discarded on exit",
        "commit complete",
    ],
)
def test_a_line_that_only_tells_something_is_no_refusal(line: str) -> None:
    assert not [name for name, platform in PLATFORMS.items() if manners_of(platform, None).refuses_in(line)]


@pytest.mark.parametrize(
    ("platform", "line"),
    [
        ("ios", "% Incomplete command."),
        ("ios", "%Error opening scp://backup (No such file)"),
        ("ios", "Command authorization failed."),
        ("ios", "% 192.0.2.0 overlaps with GigabitEthernet0/1"),
        ("nxos", "ERROR: VLAN ID must be 1 to 3967"),
        ("junos", "error: configuration check-out failed"),
        ("junos", "missing argument."),
        ("junos", "'sys' is ambiguous."),
        ("sros", "MAJOR: CLI #1009 An error occurred while processing a CLI command"),
        ("vrp", "Error:Incomplete command found at '^' position."),
    ],
)
def test_a_refusal_is_known(platform: str, line: str) -> None:
    assert manners_of(PLATFORMS[platform], None).refuses_in(line)


@pytest.mark.parametrize(
    ("line", "is_question"),
    [
        ("Proceed with reload? [confirm]", True),
        ("Are you sure? (yes/no) ", True),
        ("Overwrite? [Y/N]:", True),
        ("Continue? [y,n]", True),
        ("Are you sure to commit them before exiting? [Y(yes)/N(no)/C(cancel)]:", True),
        ("Exit with uncommitted changes? [yes,no] (yes) ", True),
        ("commit them before exiting(yes/no/cancel)? [cancel]:", True),
        ("Destination filename [startup-config]? ", True),
        ("Password: ", True),
        ("Building configuration...", False),
        ("10 packets (yes)", False),
        ("[OK]", False),
    ],
)
def test_a_question_is_known(line: str, is_question: bool) -> None:
    assert (re2.search(QUESTION, line) is not None) == is_question
