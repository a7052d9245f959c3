"""The command lines of routers as a table of values: how each platform prompts, pages, refuses a line and leaves its configuration.

Read by `ssh_shell` and its companions, and by the page docs/reference/router-platforms. Every pattern is RE2's. A prompt is matched
against the whole last line of the screen; its group `name` is the name of the router, which tells its prompt from a line that looks
like one. A *place* is the prompt with the lines above it that belong to it (`[edit]`), as one text.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Exit:
    """How to leave a configuration mode. `discards`: nothing of what was entered and not committed is left behind."""

    where: str
    """What the place looks like where this is the way out."""
    lines: tuple[str, ...]
    discards: bool = False
    shared: bool = False
    """Whether this is the way where others work on the same candidate: nothing may be thrown away then."""
    question: str = ""
    reply: str = ""


@dataclass(frozen=True, slots=True)
class Platform:
    """One platform's ways. `prepare` are the lines that turn paging and wrapping off; that they are refused does no harm."""

    name: str
    title: str
    prompt: str
    prompts: tuple[str, ...]
    """Prompts that `prompt` matches, for people."""
    pager: str
    prepare: tuple[str, ...]
    failures: tuple[str, ...]
    exits: tuple[Exit, ...] = ()
    commit: str | None = None
    """A line that commits; None where every line takes effect at once."""
    above: str | None = None
    """A line that stands above a prompt and belongs to it."""
    enable: str | None = None
    unprivileged: str | None = None
    """The prompt before `enable`; None where enabling does not show in it."""
    shared: str | None = None
    """A line that says that others work on the same candidate."""


_CISCO_REFUSAL: Final = (
    r"^%\s?(?:Invalid|Incomplete|Ambiguous|Unknown|Unrecognized|Bad|Cannot|Can't|Could not|Unable|Error|Fail|Illegal|Wrong|Duplicate"
    r"|Access denied|Permission denied|Authorization failed|Command authorization failed|Configuration failed)"
)
_CISCO_PAGER: Final = r"^\s*-{1,2} ?[Mm]ore ?-{1,2}$"

IOS: Final = Platform(
    name="ios",
    title="Cisco IOS and IOS XE",
    prompt=r"(?P<name>[\w.\-]{1,63})(?:\([\w.\-/: ]{1,60}\))?[>#]",
    prompts=("edge-1>", "edge-1#", "edge-1(config)#", "edge-1(config-if)#"),
    pager=_CISCO_PAGER,
    prepare=("terminal length 0", "terminal width 511"),
    failures=(_CISCO_REFUSAL, r"^%.* overlaps with ", r"^Command (?:rejected|authorization failed)"),
    exits=(Exit(where=r"\(config[^()]*\)#$", lines=("end",)),),
    enable="enable",
    unprivileged=r">$",
)
IOSXR: Final = Platform(
    name="iosxr",
    title="Cisco IOS XR",
    prompt=r"(?:RP/\d+/\w+/CPU\d+:)?(?P<name>[\w.\-]{1,63})(?:\([\w.\-/: ]{1,60}\))?#",
    prompts=("RP/0/RSP0/CPU0:edge-1#", "RP/0/RP0/CPU0:edge-1(config-if)#"),
    pager=_CISCO_PAGER,
    prepare=("terminal length 0", "terminal width 511"),
    failures=(_CISCO_REFUSAL, r"^%.* overlaps with ", r"^ERROR: ", r"^This command is not authorized"),
    exits=(Exit(where=r"\(config[^()]*\)#$", lines=("abort",), discards=True),),
    commit=r"^\s*commit\b",
)
NXOS: Final = Platform(
    name="nxos",
    title="Cisco NX-OS",
    prompt=r"(?P<name>[\w.\-]{1,63})(?:\([\w.\-/: ]{1,60}\))?[>#]",
    prompts=("leaf-1#", "leaf-1(config)#", "leaf-1(config-s)#"),
    pager=_CISCO_PAGER,
    prepare=("terminal length 0", "terminal width 511"),
    failures=(_CISCO_REFUSAL, r"(?i)^error: ", r"^Syntax error while parsing", r"^Permission denied"),
    exits=(
        Exit(where=r"\(config-(?:s|dual-stage)[^()]*\)#$", lines=("abort",), discards=True),
        Exit(where=r"\(config[^()]*\)#$", lines=("end",)),
    ),
    commit=r"^\s*commit\b",
    enable="enable",
    unprivileged=r">$",
)
JUNOS: Final = Platform(
    name="junos",
    title="Juniper Junos OS",
    prompt=r"[\w.\-]{1,63}@(?P<name>[\w.\-:]{1,63})[>#]",
    prompts=("admin@edge-1>", "[edit]⏎admin@edge-1#"),
    pager=r"^-{2,3}\(more(?: \d+%)?\)-{2,3}$",
    prepare=("set cli screen-length 0", "set cli screen-width 511", "set cli complete-on-space off"),
    failures=(
        r"^\s*(?:error: |syntax error|unknown command|missing argument|missing mandatory|invalid |number of elements exceeds)",
        r" is ambiguous\.$",
    ),
    exits=(
        Exit(
            where=r"#$",
            lines=("top", "exit configuration-mode"),
            shared=True,
            question=r"\[yes,no\]",
            reply="yes",
        ),
        Exit(
            where=r"#$",
            lines=("top", "rollback 0", "exit configuration-mode"),
            discards=True,
            question=r"\[yes,no\]",
            reply="yes",
        ),
    ),
    commit=r"^\s*commit(?:$|\s+(?:[^c]|c[^h]))",
    above=r"^(?:\[edit[^\]]*\]|\{[\w:\-]+\}(?:\[edit[^\]]*\])?)$",
    shared=r"^(?:The configuration has been changed but not committed|(?:Users currently editing the|Current) configuration)",
)
SROS: Final = Platform(
    name="sros",
    title="Nokia SR OS (MD-CLI and classic CLI)",
    prompt=r"[*!]{0,2}[A-Z]:(?:[\w.\-]{1,63}@)?(?P<name>[\w.\-]{1,64})(?:>[^#$]{0,400})?[#$]",
    prompts=("[/]⏎A:admin@bng-1#", '*[ex:/configure router "Base"]⏎A:admin@bng-1#', "A:bng-1#", "*A:bng-1>config>router#"),
    pager=r"^(?:Press any key to continue \(Q to quit\)|Press Q to quit, Enter to print next line or any other key to print next page\.)$",
    prepare=("environment no more", "environment more false"),
    failures=(r"^(?:MINOR|MAJOR|CRITICAL): ", r"^Error: "),
    exits=(
        Exit(where=r"^\S*\[gl:", lines=("exit all",), shared=True),
        Exit(where=r"^\S*\(gl\)\[", lines=("exit all", "quit-config"), shared=True),
        Exit(where=r"^\S*\[(?:ex|pr|gl|ro):", lines=("/configure", "discard", "exit all"), discards=True),
        Exit(where=r"^\S*\((?:ex|pr|gl|ro)\)\[", lines=("/configure", "discard", "exit all", "quit-config"), discards=True),
        Exit(where=r">edit-cfg", lines=("exit all", "candidate discard now", "candidate quit"), discards=True),
        Exit(where=r">[^#$]*[#$]$", lines=("exit all",)),
    ),
    commit=r"^\s*(?:/?candidate )?commit\b",
    above=r"^[*!?]{0,2}(?:\((?:ex|gl|pr|ro)\))?\[[^\]]*\]$",
    enable="enable",
    shared=r"^INFO: CLI #\d+: .*(?:[Uu]ncommitted changes are present|[Oo]ther global configuration sessions)",
)
VRP: Final = Platform(
    name="vrp",
    title="Huawei VRP",
    prompt=r"<(?P<name>[\w.\-]{1,246})>|\[[~*]?(?P<view>[\w.\-/:]{1,300})\]",
    prompts=("<edge-1>", "[edge-1-GigabitEthernet0/0/1]", "[~edge-1]", "[*edge-1]"),
    pager=r"^\s*-{2,4} ?[Mm]ore ?-{2,4}$",
    prepare=("screen-length 0 temporary",),
    failures=(r"^\s*Error: ?",),
    exits=(
        Exit(where=r"^\[[*]", lines=("clear configuration candidate", "return"), discards=True),
        Exit(where=r"^\[~", lines=("return",), discards=True),
        Exit(where=r"^\[", lines=("return",)),
    ),
    commit=r"^\s*commit\b",
    enable="super",
)

PLATFORMS: Final = {platform.name: platform for platform in (IOS, IOSXR, NXOS, JUNOS, SROS, VRP)}
QUESTION: Final = (
    r"(?i)(?:\[confirm\]|[\[(]y(?:es)?(?:\(yes\))?\s?[/,|]\s?n(?:o)?(?:\(no\))?(?:[/,|][^\])]*)?[\])]|\[[^\]]*\]\s?[?:]"
    r"|pass(?:word|phrase|code) ?(?:\([^)]*\))?:)[ :?]*(?:\([^)]*\)|\[[^\]]*\])?[ :?]*$"
)
"""What a line ends in that waits for somebody's answer, on whatever platform."""
ASKS_SECRET: Final = r"(?i)pass(?:word|phrase|code)|secret|\bpin\b|token"
"""What a question for a secret has in it: the reply to it is never shown."""
