"""Risk: what a device prints takes over the terminal, or a number is written so that people misread it."""

import pytest

from stepswitch.cli.wording import SHOWN_CHARACTERS, duration, printable, shown


def test_nothing_that_a_device_prints_reaches_the_terminal_as_a_command() -> None:
    assert printable("\x1b[2Jgone\x07\r\x9b31m\u202etxet\tend\n") == "[2Jgone31mtxet\tend\n"


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0, "0 ms"),
        (999, "999 ms"),
        (1_000, "1.0 s"),
        (59_900, "59.9 s"),
        (60_000, "1 min 0 s"),
        (3_599_000, "59 min 59 s"),
        (3_725_000, "1 h 2 min"),
    ],
)
def test_a_time_span_is_written_for_people(milliseconds: int, text: str) -> None:
    assert duration(milliseconds) == text


def test_a_long_output_is_cut_and_says_so() -> None:
    text = shown("x" * (SHOWN_CHARACTERS + 1))
    assert text.startswith("x" * SHOWN_CHARACTERS + "… (2001 characters")


def test_booleans_and_numbers_are_written_as_in_json() -> None:
    assert [shown(True), shown(2), shown("a\n")] == ["true", "2", "a"]
