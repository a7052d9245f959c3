"""Draws the table of transitions of a step execution as an SVG. Called by `make_reference`.

The states that the way goes through stand in one column; what is behind for good is a bar on the right, what is tried
again a bar on the left. A state without a place, or a change that the drawing has no line for, is an error.
"""

from collections.abc import Mapping
from typing import Final

from stepswitch.domain.states import StepEvent, StepState

WIDTH, HEIGHT = 190, 40
COLUMN, INDENTED = 230, 300
FIRST_ROW, ROW = 30, 92
BAR_WIDTH = 100
LEFT_BAR, RIGHT_BAR = 20, 640
DOWN, BACK, ASIDE = 255, 318, 385
PLACES: Final = {
    StepState.WAITING_BEFORE: (COLUMN, 0),
    StepState.EXECUTABLE: (COLUMN, 1),
    StepState.EXECUTING: (COLUMN, 2),
    StepState.EXECUTED: (COLUMN, 3),
    StepState.WAITING_AFTER: (INDENTED, 4),
    StepState.READY_FOR_NEXT: (COLUMN, 5),
}
BARS: Final = {StepState.RETRY: LEFT_BAR, StepState.FINISHED: RIGHT_BAR}
BOTTOM: Final = FIRST_ROW + 5 * ROW + HEIGHT
STYLE: Final = (
    "rect{fill:#f4f6f8;stroke:#33475b}.last{fill:#e3e8ee}line{stroke:#33475b;stroke-width:1.3;marker-end:url(#tip)}"
    "text{font:14px sans-serif;fill:#1b2733}.event{font-size:12px;fill:#4a5b6c}"
)
Point = tuple[int, int]


def draw(transitions: Mapping[tuple[StepState, StepEvent], StepState]) -> str:
    """Return the drawing as SVG text; raises KeyError where a state has no place."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {RIGHT_BAR + BAR_WIDTH + 20} {BOTTOM + 30}" role="img">',
        "<title>The states of a step execution</title>",
        f"<style>{STYLE}</style>",
        '<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" orient="auto">'
        '<path d="M0 0L10 5L0 10z" fill="#33475b"/></marker></defs>',
        *(_box(state, (x, _top(row)), (WIDTH, HEIGHT)) for state, (x, row) in PLACES.items()),
        *(_box(state, (x, FIRST_ROW), (BAR_WIDTH, BOTTOM - FIRST_ROW)) for state, x in BARS.items()),
        *(_change(source, event, target) for (source, event), target in transitions.items()),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _top(row: int) -> int:
    return FIRST_ROW + row * ROW


def _box(state: StepState, corner: Point, size: Point) -> str:
    (x, y), (width, height) = corner, size
    last = ' class="last"' if state in BARS else ""
    name = f'<text x="{x + width // 2}" y="{y + height // 2 + 5}" text-anchor="middle">{state}</text>'
    return f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="6"{last}/>{name}'


def _change(source: StepState, event: StepEvent, target: StepState) -> str:
    x, row = PLACES[source]
    middle = _top(row) + HEIGHT // 2
    if target is StepState.FINISHED:
        return _arrow(event, (x + WIDTH, middle), (RIGHT_BAR, middle), (RIGHT_BAR - 55, middle - 6))
    if target is StepState.RETRY:
        return _arrow(event, (x, middle), (LEFT_BAR + BAR_WIDTH, middle), (LEFT_BAR + BAR_WIDTH + 14, middle - 6))
    to_x, to_row = PLACES[target]
    if to_row < row:
        line = ASIDE if x == to_x else BACK
        return _arrow(event, (line, _top(row)), (line, _top(to_row) + HEIGHT), (line + 8, _top(row) - 8))
    line = DOWN if x == to_x else ASIDE
    return _arrow(event, (line, _top(row) + HEIGHT), (line, _top(to_row)), (line + 8, _top(row) + HEIGHT + 24))


def _arrow(event: StepEvent, start: Point, end: Point, label: Point) -> str:
    line = f'<line x1="{start[0]}" y1="{start[1]}" x2="{end[0]}" y2="{end[1]}"/>'
    return f'{line}<text class="event" x="{label[0]}" y="{label[1]}">{event}</text>'
