"""What an edit changes, line by line. Called by `netconf_edit`, imported when first used."""

from collections.abc import Iterator

from stepswitch.steps.netconf_proof import key_of, step_of
from stepswitch.steps.netconf_values import keeps_a_secret, text_of
from stepswitch.steps.netconf_xml import Element, local_name
from stepswitch.steps.output import harmless
from stepswitch.steps.patterns import shortened

_Lines = dict[str, tuple[str, str]]


def difference(before: Element | None, after: Element | None) -> list[str]:
    """Return a line for each leaf that is only before (-) or only after (+), with its path, in their order. Secrets are not shown."""
    lists = {path for data in (before, after) if data is not None for path in _repeated(data, "")}
    old, new = (_lines(data, lists) for data in (before, after))
    added = {place: f"+ {shown}" for place, (shown, text) in new.items() if place not in old or old[place][1] != text}
    lines: list[str] = []
    for place, (shown, text) in old.items():
        if place not in new or new[place][1] != text:
            lines.append(f"- {shown}")
            if place in added:
                lines.append(added.pop(place))
    return lines + list(added.values())


def _repeated(parent: Element, path: str) -> Iterator[str]:
    """Yield the path of every element that stands more than once in its parent: the lists, as far as one can tell."""
    seen: set[str] = set()
    for each in parent:
        tag = str(each.tag)
        if tag in seen:
            yield f"{path}/{tag}"
        seen.add(tag)
        yield from _repeated(each, f"{path}/{tag}")


def _lines(data: Element | None, lists: set[str]) -> _Lines:
    """Return for each leaf, by where it stands, how it is shown and its text."""
    lines: _Lines = {}

    def collect(parent: Element, path: str, place: str, shown: str) -> None:
        for number, each in enumerate(parent):
            tag = str(each.tag)
            is_entry = f"{path}/{tag}" in lists
            at = f"{place}/{tag}" + (f"[{_name_of(each, number)}]" if is_entry else "")
            if len(each):
                collect(each, f"{path}/{tag}", at, f"{shown}/{step_of(each, is_entry=True) if is_entry else harmless(local_name(each))}")
            else:
                lines[at] = (f"{shown}/{harmless(local_name(each))}{_value_of(each)}", text_of(each))

    if data is not None:
        collect(data, "", "", "")
    return lines


def _name_of(entry: Element, number: int) -> str:
    """Return what an entry of a list is known by: its key, its text, else its place."""
    key = key_of(entry) if len(entry) else entry
    return str(number) if key is None else text_of(key)


def _value_of(leaf: Element) -> str:
    text = text_of(leaf)
    if not text:
        return ""
    return " = ********" if keeps_a_secret(leaf) else f" = {shortened(harmless(text))}"
