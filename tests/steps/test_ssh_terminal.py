"""What is written to a terminal, as it reads. Risks: an escape sequence in an output, memory eaten by one line, an echo taken for output."""

import pytest

from stepswitch.steps.output import LINE_CHARACTERS
from stepswitch.steps.ssh_echo import Echo
from stepswitch.steps.ssh_terminal import Line, Terminal, rendered


@pytest.mark.parametrize(
    ("written", "reads"),
    [
        ("plain text", "plain text"),
        ("with its end\r", "with its end"),
        ("10%\r20%\rdone\r", "done"),
        ("--More--\b\b\b\b\b\b\b\b        \b\b\b\b\b\b\b\bline 11", "line 11"),
        ("---(more)---\r" + " " * 40 + "\rline 11", "line 11"),
        ("  ---- More ----\x1b[42D" + " " * 42 + "\x1b[42Dline 11", "line 11"),
        ("--More--\r\x1b[Kline 11", "line 11"),
        ("\x1b[1;31mred\x1b[0m \x1b]0;title\x07text\x1b(B", "red text"),
        ("abc\x1b[2Dx", "axc"),
        ("abc\x1b[Gx", "xbc"),
        ("abc\x1b[1K", ""),
        ("abcd\x1b[3D\x1b[2P", "ad"),
        ("ab\x1b[5Cc", "ab     c"),
        ("\x1b[999999999Cx", "x".rjust(2).strip().rjust(2)),
        ("\x1b[500Cx", " " * 500 + "x"),
        ("tab\tstays, bell\x07 and \u202eturn do not", "tab\tstays, bell and turn do not"),
        ("cut off \x1b", "cut off"),
        ("cut off \x1b[", "cut off"),
    ],
)
def test_a_line_reads_as_on_a_screen(written: str, reads: str) -> None:
    assert rendered(written) == reads


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_lines_come_out_whole_however_they_arrive(size: int) -> None:
    written = "ä first\r\n--More--\b\b\b\b\b\b\b\b\x1b[Ksecond\r\n\r\nedge-1# ".encode()
    terminal = Terminal("utf-8")
    lines = [line.text for start in range(0, len(written), size) for line in terminal.feed(written[start : start + size])]
    assert (lines, terminal.line) == (["ä first", "second", ""], "edge-1# ")


def test_a_line_without_end_is_given_out_in_parts() -> None:
    terminal = Terminal("utf-8")
    parts = [line for _ in range(100) for line in terminal.feed(b"x" * 1000)]
    assert len(terminal.line) <= LINE_CHARACTERS
    assert all(not part.ends for part in parts)
    assert terminal.is_continued
    assert "".join(part.text for part in parts) + terminal.line == "x" * 100_000
    assert [line.ends for line in terminal.feed(b"\n")] == [True]
    assert not terminal.is_continued


def written(text: str) -> Line:
    return Line(rendered(text), text)


@pytest.mark.parametrize(
    "lines",
    [
        ["edge-1# show version"],
        ["edge-1# show ver", "sion"],
        ["edge-1# show ver \rsion"],
        ["edge-1# sho\redge-1# show version"],
        ["edge-1# show v\b\b\b\b\b\b$w version"],
        ["", "edge-1# show version"],
        ["show version"],
    ],
)
def test_an_echo_is_found_however_it_is_drawn(lines: list[str]) -> None:
    echo = Echo("show version")
    assert all(echo.takes(written(line), "edge-1#") for line in lines)
    assert echo.is_done


def test_what_is_no_echo_is_none() -> None:
    echo = Echo("show version")
    assert not echo.takes(written("Cisco IOS Software"), "edge-1#")
    assert not echo.is_done
    assert not echo.takes(written("$"), "edge-1#")
    assert echo.takes(written("edge-1#show version"), "edge-1#")
    assert not echo.takes(written("show version"), "edge-1#"), "once"
    assert echo.takes(written("edge-1#"), "edge-1#"), "a prompt that is drawn once more"
    assert not echo.takes(written(""), "edge-1#")
