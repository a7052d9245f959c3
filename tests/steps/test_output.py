"""Risk: a long line is torn where a secret stands, and neither half is known again."""

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
