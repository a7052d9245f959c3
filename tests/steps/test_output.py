"""Risk: a long line is torn where a secret stands, and neither half is known again; a flood of lines holds up everybody else."""

import asyncio
import re

import pytest

from stepswitch.domain.secrecy import MASK
from stepswitch.plugin import CUT, LogLevel
from stepswitch.secrets.masking import Masking
from stepswitch.steps.output import LINE_CHARACTERS, Output
from stepswitch.steps.patterns import OutputPatterns
from tests.steps.contexts import RecordingContext

SECRET = "Zq7!xW9#kLm2"


def output(context: RecordingContext, patterns: OutputPatterns | None = None, limit_bytes: int = 1_048_576) -> Output:
    watch = None if patterns is None else patterns.watch
    return Output(context, LogLevel.INFO, encoding="utf-8", limit_bytes=limit_bytes, watch=watch)


@pytest.mark.parametrize("end", ["\n", "y", "\ry"])
@pytest.mark.parametrize("secret", [SECRET, "two words", "ab#!"])
async def test_a_secret_where_a_long_line_is_broken_is_in_neither_part(secret: str, end: str) -> None:
    mask = Masking().masker([secret])
    for before in range(LINE_CHARACTERS - len(secret) - 2 * len(CUT), LINE_CHARACTERS + 2):
        context = RecordingContext()
        printed = output(context)
        await printed.feed(b"x" * before + secret.encode() + b"y" * 64 + end.encode())
        await printed.finish()
        assert max(map(len, context.messages)) <= LINE_CHARACTERS
        shown = "".join(map(mask, context.messages))
        assert secret not in shown.replace(CUT, "").replace(MASK, "")
        assert len(re.sub("[xy]", "", shown.replace(CUT, "").replace(MASK, ""))) <= 1
        assert secret[-2:] not in mask(printed.last_line)


async def test_a_secret_longer_than_a_line_is_in_no_part() -> None:
    secret = "".join(f"{number:05d}" for number in range(10_000))
    context = RecordingContext()
    printed = output(context)
    await printed.feed(f"key {secret} end".encode())
    await printed.finish()
    assert not re.search(r"\d", "".join(map(Masking().masker([secret]), context.messages)))


async def test_an_escape_sequence_is_not_torn() -> None:
    for before in range(LINE_CHARACTERS - 10, LINE_CHARACTERS + 2):
        context = RecordingContext()
        printed = output(context)
        await printed.feed(b"x" * before + b"\x1b[31m" + b"y" * 100)
        await printed.finish()
        assert "".join(context.messages).replace(CUT, "") == "x" * before + "y" * 100


@pytest.mark.parametrize("secret", [SECRET, "two words"])
async def test_the_line_that_a_pattern_matches_shows_no_half_of_a_secret(secret: str) -> None:
    for before in range(270, 302):
        printed = output(RecordingContext())
        await printed.feed(f"Error {'x' * before}{secret}yyy\n".encode())
        reason = OutputPatterns("^Error", None).verdict(printed)
        assert reason is not None
        assert secret[:2] not in Masking().masker([secret])(reason)


async def test_neither_does_one_at_the_end_of_what_is_kept() -> None:
    for kept in range(8, 8 + len(SECRET)):
        printed = output(RecordingContext(), limit_bytes=kept)
        await printed.feed(f"Error {SECRET}yyy".encode())
        reason = OutputPatterns("^Error", None).verdict(printed)
        assert reason is not None
        assert SECRET[:2] not in Masking().masker([SECRET])(reason)


async def test_neither_does_a_part_of_a_line_that_is_not_kept_and_the_mark_of_a_cut_matches_no_pattern() -> None:
    patterns, brackets = OutputPatterns("^Error", None), OutputPatterns(r"[\[\]]", None)
    for watching in (patterns, brackets):
        printed = output(RecordingContext(), watching, limit_bytes=4)
        await printed.feed(b"Error " + b"x" * (LINE_CHARACTERS - 10) + SECRET.encode() + b"yyy")
        await printed.finish()
    reason = patterns.verdict()
    assert reason is not None
    assert SECRET[:2] not in Masking().masker([SECRET])(reason)
    assert brackets.verdict() is None


async def test_what_can_neither_be_kept_nor_shown_is_passed_over_but_for_its_last_line() -> None:
    context = RecordingContext()
    printed = output(context, limit_bytes=4)
    await printed.feed(b"first\nsecond\n")
    context.log_is_full = True
    before = list(context.messages)
    await printed.feed(b"y\n" * 100_000 + b"one\rthe last\n \n")
    assert printed.last_line == "the last"
    await printed.feed(b"half ")
    await printed.feed(b"a line")
    await printed.finish()
    assert (context.messages[len(before) :], printed.last_line) == (["half a line"], "half a line")
    assert (printed.text, printed.truncated) == ("firs", True)


@pytest.mark.parametrize("end", ["", "\n"])
async def test_half_a_secret_is_not_the_end_of_a_line_that_is_passed_over(end: str) -> None:
    mask = Masking().masker([SECRET])
    for behind in range(LINE_CHARACTERS - len(SECRET) - 2 * len(CUT), LINE_CHARACTERS + 2):
        context = RecordingContext()
        printed = output(context, limit_bytes=1)
        await printed.feed(b"first")
        context.log_is_full = True
        await printed.feed(b"x" * 64 + SECRET.encode() + b"y" * behind + end.encode())
        await printed.finish()
        assert len(re.sub("[xy]", "", mask(printed.last_line).replace(CUT, "").replace(MASK, ""))) <= 1


async def test_a_pattern_is_looked_for_also_where_nothing_can_be_kept_or_shown() -> None:
    context = RecordingContext()
    patterns = OutputPatterns(fail="bad", success=None)
    printed = output(context, patterns, limit_bytes=1)
    await printed.feed(b"first\n")
    context.log_is_full = True
    await printed.feed(b"y\n" * 1_000 + b"bad\n" + b"y\n" * 1_000)
    assert patterns.verdict(printed, output(context)) is not None


async def test_others_have_their_turn_while_many_lines_are_shown() -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    asking = asyncio.ensure_future(others())
    await output(RecordingContext()).feed(b"y\n" * 16_000)
    asking.cancel()
    assert turns > 100
