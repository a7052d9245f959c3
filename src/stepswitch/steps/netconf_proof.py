"""Whether a device has what an edit says: the edited part held against what is read back. Called by `netconf_edit`, imported when first used.

Nothing is known of the device's models. Namespaces count, also in values that name something by a prefix; the order does not, nor do
leaves that the device fills by itself. An entry of a list is known by its first leaf, which is where YANG puts keys. No fault shows a
value but those that seem to be keys.
"""

import re
from dataclasses import dataclass, field
from typing import Final

from stepswitch.steps.netconf_values import are_the_same, is_kept_otherwise, keeps_a_secret, text_of
from stepswitch.steps.netconf_xml import OPERATION, Element, local_name
from stepswitch.steps.output import harmless
from stepswitch.steps.patterns import shortened

_GONE: Final = frozenset({"delete", "remove"})
_KEY_NAME: Final = re.compile(r"(?:^|[-_.])(?:name|id|key|index|number|prefix|address)$")
_FEW: Final = 100
"""Of so many entries that may be meant, the closest one is looked for; of more, none is named."""


@dataclass(slots=True)
class Comparison:
    """What came of it: `faults` are sentences, `not_compared` the paths of leaves that the device keeps in a form of its own."""

    faults: list[str] = field(default_factory=list)
    not_compared: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where something is looked for: within `after`, which was `before`, by the name of `path`."""

    after: Element | None
    before: Element | None
    path: str = ""


class Proof:
    """Holds the elements of an edit against the data of a device after it and, where something had to go, before it.

    `reports_defaults`: the device shows leaves that nobody has set, so that one more leaf than was sent says nothing.
    """

    def __init__(self, after: Element | None, before: Element | None, *, reports_defaults: bool) -> None:
        self._top = _Place(after, before)
        self._reports_defaults = reports_defaults
        self._indexes: dict[Element, dict[tuple[str, ...], list[Element]]] = {}

    def of(self, config: Element, operation: str) -> Comparison:
        """Return what differs; `operation` is that of elements without a mark."""
        found = Comparison()
        for sent in config:
            self._check(sent, operation, self._top, found)
        return found

    def _check(self, sent: Element, operation: str, place: _Place, into: Comparison) -> Element | None:
        """Note what is wrong with one element; return its counterpart."""
        operation = sent.get(OPERATION, operation)
        path = f"{place.path}/{step_of(sent)}"
        if operation in _GONE:
            if not self._is_gone(sent, place):
                into.faults.append(f"{path} is still there")
            return None
        candidates = self._candidates(sent, place.after)
        if not len(sent):
            return _check_leaf(sent, operation, candidates, path, into)
        chosen = self._closest(sent, operation, candidates, _Place(None, self._counterpart(sent, place.before), path), into)
        if chosen is None and _wants_something(sent, operation):
            into.faults.append(f"{path} is not there")
        return chosen

    def _closest(self, sent: Element, operation: str, candidates: list[Element], place: _Place, into: Comparison) -> Element | None:
        """Compare with whichever candidate fits best, and note what is wrong with that one."""
        keyed = self._with_key(sent, candidates)
        if not keyed and len(candidates) > 1:
            return None
        best: tuple[Element, Comparison] | None = None
        for each in (keyed or candidates)[:_FEW]:
            tried = Comparison()
            self._check_within(sent, operation, _Place(each, place.before, place.path), tried)
            if best is None or len(tried.faults) < len(best[1].faults):
                best = each, tried
            if not tried.faults:
                break
        if best is None:
            return None
        into.faults += best[1].faults
        into.not_compared += best[1].not_compared
        return best[0]

    def _check_within(self, sent: Element, operation: str, place: _Place, into: Comparison) -> None:
        matched = [self._check(each, operation, place, into) for each in sent]
        if operation == "replace" and place.after is not None:
            known = {each for each in matched if each is not None}
            left = (each for each in place.after if each not in known and self._is_left_over(each, place))
            into.faults += [f"{place.path}/{step_of(each)} is still there" for each in left]

    def _is_left_over(self, extra: Element, place: _Place) -> bool:
        """Whether an element that was not sent has outlived a replacement, and was not filled in by the device."""
        if self._reports_defaults and self._may_be_default(extra, place.after):
            return False
        olds = self._candidates(extra, place.before)
        return bool(self._with_key(extra, olds)) if len(extra) else any(are_the_same(extra, old) for old in olds)

    def _may_be_default(self, extra: Element, parent: Element | None) -> bool:
        is_alone = len(self._candidates(extra, parent)) == 1
        return is_alone and all(self._may_be_default(each, extra) for each in extra)

    def _is_gone(self, sent: Element, place: _Place) -> bool:
        left = self._meant(sent, place.after)
        if not place.path and all(not len(each) and not text_of(each) for each in left):
            return True  # an empty container at the top is as good as none
        return not left or len(left) < len(self._meant(sent, place.before))

    def _meant(self, sent: Element, parent: Element | None) -> list[Element]:
        """Return the elements within `parent` that are to be deleted by `sent`."""
        candidates = self._candidates(sent, parent)
        if len(sent):
            return self._with_key(sent, candidates)
        return [each for each in candidates if not text_of(sent) or are_the_same(sent, each)]

    def _counterpart(self, sent: Element, before: Element | None) -> Element | None:
        candidates = self._candidates(sent, before)
        keyed = self._with_key(sent, candidates)
        return keyed[0] if keyed else candidates[0] if len(candidates) == 1 else None

    def _candidates(self, sent: Element, parent: Element | None) -> list[Element]:
        return [] if parent is None else self._index(parent).get((str(sent.tag),), [])

    def _with_key(self, sent: Element, candidates: list[Element]) -> list[Element]:
        """Return those of `candidates` that have the first leaf of `sent`; all of them where it has none."""
        key = key_of(sent)
        if key is None or not candidates:
            return candidates
        parent = candidates[0].getparent()
        at_once = [] if parent is None else self._index(parent).get((str(sent.tag), str(key.tag), text_of(key)), [])
        if at_once or len(candidates) > _FEW:
            return at_once
        return [each for each in candidates if any(leaf.tag == key.tag and are_the_same(key, leaf) for leaf in each)]

    def _index(self, parent: Element) -> dict[tuple[str, ...], list[Element]]:
        """Return the children of an element by their names, and by each leaf of theirs, so that long lists take no longer than they are."""
        index = self._indexes.get(parent)
        if index is None:
            index = self._indexes[parent] = {}
            for each in parent:
                index.setdefault((str(each.tag),), []).append(each)
                for leaf in each:
                    if not len(leaf):
                        index.setdefault((str(each.tag), str(leaf.tag), text_of(leaf)), []).append(each)
        return index


def marks_of(config: Element) -> set[str]:
    """Return the operations that an edit has marked."""
    return {mark for each in config.iter() if (mark := each.get(OPERATION)) is not None}


def key_of(node: Element) -> Element | None:
    """Return the leaf by which an entry of a list is known; None where there is none."""
    first = next(iter(node), None)
    return first if first is not None and not len(first) and text_of(first) else None


def step_of(node: Element, *, is_entry: bool = False) -> str:
    """Return an element as one step of a path, with its key where it is an entry of a list, or its first leaf is called as keys are."""
    key = key_of(node)
    name = harmless(local_name(node))
    if key is None or keeps_a_secret(key) or not (is_entry or _KEY_NAME.search(local_name(key))):
        return name
    return f"{name}[{harmless(local_name(key))}='{shortened(harmless(text_of(key)))}']"


def _check_leaf(sent: Element, operation: str, candidates: list[Element], path: str, into: Comparison) -> Element | None:
    """Note what is wrong with a leaf; return its counterpart."""
    equal = next((each for each in candidates if are_the_same(sent, each)), None)
    if equal is not None or operation == "none":
        return equal
    otherwise = next((each for each in candidates if is_kept_otherwise(sent, each)), None)
    if otherwise is not None:
        into.not_compared.append(path)
    elif candidates:
        into.faults.append(f"{path} has another value")
    elif text_of(sent) or operation != "replace":
        into.faults.append(f"{path} is not there")
    return otherwise if otherwise is not None else candidates[0] if len(candidates) == 1 else None


def _wants_something(sent: Element, operation: str) -> bool:
    """Whether there is anything in `sent` that has to be there afterwards."""
    operation = sent.get(OPERATION, operation)
    if operation in _GONE:
        return False
    return any(_wants_something(each, operation) for each in sent) if len(sent) else operation != "none"
