"""Draws how the doubt about an attempt is settled, as an SVG for docs/explanation/unknown.md. Called by `make_reference`.

What a probe may find is read from the source: a verdict without a way out is an error. So is one without words.
"""

from typing import Final

from stepswitch.domain.doubts import MAX_RERUNS
from stepswitch.domain.execution import Verdict

WIDTH, HEIGHT = 1000, 560
STYLE: Final = (
    "rect{fill:#f4f6f8;stroke:#33475b}.good{fill:#e3f1e5}.bad{fill:#f6e3e1}.doubt{fill:#efe6f5}"
    "path{stroke:#33475b;stroke-width:1.3;fill:none;marker-end:url(#tip)}"
    "text{font:14px sans-serif;fill:#1b2733}.small{font-size:12px;fill:#4a5b6c}"
)
BOXES: Final = {
    "runs": ((30, 30), (190, 56), ("the attempt runs",), ""),
    "unknown": ((30, 170), (190, 56), ("UNKNOWN", "it may have acted, or not"), "doubt"),
    "look": ((400, 170), (190, 56), ("the probe looks", "it only reads"), ""),
    "on": ((780, 30), (190, 56), ("the way goes on", "as after success"), "good"),
    "again": ((400, 30), (190, 56), ("the step runs again", f"{MAX_RERUNS} times in a visit"), ""),
    "without": ((400, 330), (190, 56), ("the doubt remains",), "doubt"),
    "way": ((30, 470), (250, 56), ("onUnknownStepId", "the way that it names"), ""),
    "pause": ((365, 470), (250, 56), ("pauseAtFailure", "PAUSED: a person decides"), "doubt"),
    "end": ((720, 470), (250, 56), ("otherwise", "the execution ends FAILED"), "bad"),
}
FOUND: Final = {
    Verdict.DONE: ("M590 184 C690 170 720 120 776 86", (640, 148)),
    Verdict.NOT_DONE: ("M495 170 L495 90", (504, 134)),
    Verdict.UNKNOWN: ("M590 198 C660 190 660 236 594 216", (650, 224)),
}
"""What a probe finds: the way that it takes in the drawing, and where it is written."""
WAYS: Final = (
    ("M125 86 L125 166", (134, 130), "cut off, out of time, or lost"),
    ("M220 198 L396 198", (232, 190), "the step has a probe"),
    ("M400 58 L224 58", (0, 0), ""),
    ("M495 226 L495 326", (504, 272), "maxAttempts looks could not tell"),
    ("M125 226 C125 330 250 358 396 358", (120, 350), "it has none"),
    ("M440 386 C380 430 250 420 170 466", (0, 0), ""),
    ("M495 386 L495 466", (0, 0), ""),
    ("M550 386 C610 430 750 420 830 466", (0, 0), ""),
)


def draw() -> str:
    """Return the drawing as SVG text; raises KeyError where a verdict has no way."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        "<title>How the doubt about an attempt is settled</title>",
        f"<style>{STYLE}</style>",
        '<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" orient="auto">'
        '<path d="M0 0L10 5L0 10z" style="fill:#33475b;stroke:none;marker-end:none"/></marker></defs>',
        *(_box(corner, size, lines, kind) for corner, size, lines, kind in BOXES.values()),
        *(_way(path, place, text) for path, place, text in WAYS),
        *(_way(*FOUND[verdict], str(verdict)) for verdict in Verdict),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _box(corner: tuple[int, int], size: tuple[int, int], lines: tuple[str, ...], kind: str) -> str:
    (x, y), (width, height) = corner, size
    first = y + height // 2 + (5 if len(lines) == 1 else -4)
    texts = [
        f'<text{_class("small" if place else "")} x="{x + width // 2}" y="{first + 20 * place}" text-anchor="middle">{line}</text>'
        for place, line in enumerate(lines)
    ]
    return f'<rect{_class(kind)} x="{x}" y="{y}" width="{width}" height="{height}" rx="6"/>{"".join(texts)}'


def _way(path: str, place: tuple[int, int], text: str) -> str:
    return f'<path d="{path}"/>' + (f'<text{_class("small")} x="{place[0]}" y="{place[1]}">{text}</text>' if text else "")


def _class(name: str) -> str:
    return f' class="{name}"' if name else ""
