"""The page docs/reference/router-platforms, made from the table that TCA_SSH works by. Called by `make_reference`."""

from typing import Final

from stepswitch.steps.ssh_platforms import PLATFORMS, Exit, Platform

TITLE: Final = "Platforms of routers"
INTRODUCTION: Final = (
    "What TCA_SSH knows of a router whose lines are typed into a shell: the values of its input `platform`. How to use them, and what else is "
    "done: [talk to routers](../how-to/routers.md). Every pattern is RE2's; ⏎ stands between the lines of one prompt."
)


def sections() -> list[str]:
    """Return the sections of the page, one for each platform."""
    return [_section(platform) for platform in PLATFORMS.values()]


def _section(platform: Platform) -> str:
    rows = [
        ("prompts, for example", " · ".join(map(_code, platform.prompts))),
        ("a prompt is", _code(platform.prompt)),
        ("typed before the first line", " · ".join(map(_code, platform.prepare))),
        ("`enablePassword` is for", _code(platform.enable) if platform.enable else "nothing: it cannot be given"),
        ("more is asked for at", _code(platform.pager)),
        ("a line is refused by", " · ".join(map(_code, platform.failures))),
        ("committed by a line like", _code(platform.commit) if platform.commit else "nothing: every line takes effect at once"),
    ]
    if platform.shared:
        rows.append(("others are at the same candidate", _code(platform.shared)))
    table = "\n".join(f"| {name} | {value} |" for name, value in rows)
    exits = "\n".join(f"| {_code(way.where)} | {' · '.join(map(_code, way.lines))} | {_remains(way)} |" for way in platform.exits)
    return (
        f"## {platform.name}\n\n{platform.title}.\n\n| | |\n| --- | --- |\n{table}\n\n"
        f"The configuration mode is left, behind a refused line or after the last, in the first way whose place fits:\n\n"
        f"| at a place like | typed | what was entered |\n| --- | --- | --- |\n{exits}"
    )


def _remains(way: Exit) -> str:
    if way.shared:
        return "stays in the candidate, because others work on it"
    return "is discarded, but for what was committed" if way.discards else "stays: it is in effect already"


def _code(text: str) -> str:
    return f"`{text.replace('|', chr(92) + '|')}`"
