"""XML of payloads and replies, read without ever following what it refers to: no entity, no DTD, no file, no network. Called by `netconf` and its companions.

Imported when first used. What lxml would resolve is refused before it is parsed: whoever declares a document type is told so.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from lxml import etree

from stepswitch.plugin import ErrorCode
from stepswitch.steps.input_faults import InputFaultError
from stepswitch.steps.output import harmless
from stepswitch.steps.patterns import shortened

BASE: Final = "urn:ietf:params:xml:ns:netconf:base:1.0"
OPERATION: Final = f"{{{BASE}}}operation"
OPERATIONS: Final = frozenset({"merge", "replace", "create", "delete", "remove", "none"})
MAX_DEPTH: Final = 100
_WITH_DEFAULTS: Final = "urn:ietf:params:xml:ns:yang:ietf-netconf-with-defaults"
_DECLARATION: Final = re.compile(r"\s*<\?xml\s[^>]*\?>")
_FORBIDDEN: Final = re.compile(r"<!(?:DOCTYPE|ENTITY)")
_PREFIX: Final = re.compile(r"(?<![\w.:-])([A-Za-z_][\w.-]*):(?!:)")
_MODULE: Final = re.compile(r"^([^?]+)\?(?:.*&)?module=([A-Za-z_][\w.-]*)")
_SHOWN_ERRORS: Final = 10
Element = etree._Element  # noqa: SLF001 - lxml's only name for it


class XmlFaultError(Exception):
    """A text that is no XML, or that wants more than to be read; the message shows nothing of it but a place."""


@dataclass(frozen=True, slots=True)
class RpcFault:
    """One `rpc-error` of a reply (RFC 6241, 4.3)."""

    tag: str
    severity: str
    path: str
    message: str
    session_id: str

    def __str__(self) -> str:
        where = f" at {self.path}" if self.path else ""
        return f"{self.tag} ({self.severity}){where}" + (f": {self.message}" if self.message else "")


def parse(text: bytes) -> Element:
    """Return the one element that `text` is; raises XmlFaultError."""
    try:
        decoded = text.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise XmlFaultError("it is not in UTF-8") from None
    return _parsed(_DECLARATION.sub("", decoded, count=1))


def parse_all(text: str, name: str) -> Element:
    """Return an element `config` of NETCONF's namespace around whatever elements `text` has; raises InputFaultError that names the input."""
    bare = _DECLARATION.sub("", text.removeprefix("\ufeff"), count=1)
    try:
        return _parsed(f'<nc:config xmlns:nc="{BASE}">{bare}</nc:config>')
    except XmlFaultError as error:
        raise InputFaultError(ErrorCode.MALFORMED_XML, f"the input {name!r} cannot be used: {error}") from None


def _parsed(text: str) -> Element:
    if _FORBIDDEN.search(text) is not None:
        raise XmlFaultError("it declares a document type or an entity, which is never followed")
    parser = etree.XMLParser(
        encoding="utf-8", resolve_entities=False, load_dtd=False, dtd_validation=False, no_network=True, huge_tree=False,
        remove_comments=True, remove_pis=True,
    )  # fmt: skip
    try:
        return etree.fromstring(text.encode("utf-8"), parser)
    except etree.XMLSyntaxError as error:
        line, column = error.position
        raise XmlFaultError(f"it is not well-formed XML (line {line}, column {column})") from None
    except (ValueError, UnicodeEncodeError):
        raise XmlFaultError("it has characters that XML does not know") from None


def payload_of(text: str, operation: str | None, name: str) -> Element:
    """Return what is to be edited as an element `config`, the operation marked where it has to be; raises InputFaultError.

    `text` may have its own element `config`, of whatever namespace. It keeps its own marks, where it has some.
    """
    config = parse_all(text, name)
    elements = list(config)
    if len(elements) == 1 and local_name(elements[0]) == "config" and namespace(elements[0]) in ("", BASE):
        config = elements[0]
        config.tag = f"{{{BASE}}}config"
        elements = list(config)
    if not elements or (config.text or "").strip() or any((each.tail or "").strip() for each in elements):
        raise InputFaultError(ErrorCode.MALFORMED_XML, f"the input {name!r} has no elements, or text beside them")
    if any(sum(1 for _ in each.iterancestors()) > MAX_DEPTH for each in config.iter()):
        raise InputFaultError(ErrorCode.TOO_DEEP, f"the input {name!r} is nested more than {MAX_DEPTH} levels deep")
    marks = [mark for each in config.iter() if (mark := each.get(OPERATION)) is not None]
    if not OPERATIONS.issuperset(marks):
        raise InputFaultError(ErrorCode.INVALID_VALUE, f"the input {name!r} has an operation that NETCONF does not know")
    if not marks and operation is not None:
        for each in elements:
            each.set(OPERATION, operation)
    return config


def filter_of(text: str, namespaces: Mapping[str, str]) -> Element:
    """Return a filter: a text that begins with `<` is one by subtree (or a whole element `filter`), any other is an XPath expression.

    A prefix of the expression is the name of a module; `namespaces` has the device's. Raises InputFaultError.
    """
    if not text.lstrip().removeprefix("\ufeff").startswith("<"):
        return _xpath_filter(text.strip(), namespaces)
    given = parse_all(text, "filter")
    if len(given) == 1 and local_name(given[0]) == "filter" and namespace(given[0]) in ("", BASE):
        inner = given[0]
        select = inner.get("select")
        if inner.get("type") == "xpath" and not select:
            raise InputFaultError(ErrorCode.INVALID_VALUE, "the input 'filter' is of type xpath and has no 'select'")
        made = _made("filter", inner.nsmap if select else {})
        if select and inner.get("type") == "xpath":
            made.set("type", "xpath")
            made.set("select", select)
            return made
        given = inner
    made = _made("filter", {})
    made.set("type", "subtree")
    made.extend(list(given))
    return made


def _xpath_filter(expression: str, namespaces: Mapping[str, str]) -> Element:
    outside_literals = re.sub(r"'[^']*'|\"[^\"]*\"", "''", expression)
    prefixes = list(dict.fromkeys(_PREFIX.findall(outside_literals)))
    unknown = [prefix for prefix in prefixes if prefix not in namespaces]
    if unknown:
        raise InputFaultError(
            ErrorCode.INVALID_VALUE,
            f"the prefix {harmless(unknown[0])!r} in the input 'filter' is no module of the device; "
            'declare prefixes of your own in an element: <filter type="xpath" xmlns:p="…" select="…"/>',
        )
    made = _made("filter", {prefix: namespaces[prefix] for prefix in prefixes})
    made.set("type", "xpath")
    try:
        made.set("select", expression)
    except ValueError:
        raise InputFaultError(ErrorCode.INVALID_VALUE, "the input 'filter' has characters that XML does not know") from None
    return made


def tops_filter(config: Element) -> Element:
    """Return a filter for the whole parts of a datastore that `config` edits."""
    made = _made("filter", {})
    made.set("type", "subtree")
    for tag in dict.fromkeys(str(each.tag) for each in config):
        made.append(_made(tag.rpartition("}")[2], {}, tag[1:].partition("}")[0]) if tag.startswith("{") else etree.Element(tag))
    return made


def rpc(message_id: int, operation: Element) -> bytes:
    """Return a request."""
    request = _made("rpc", {})
    request.set("message-id", str(message_id))
    request.append(operation)
    return document(request)


def document(root: Element) -> bytes:
    """Return an element as what is sent."""
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


def element(name: str, *children: Element | str) -> Element:
    """Return an element of NETCONF's namespace with children, or a text."""
    made = _made(name, {})
    for child in children:
        if isinstance(child, str):
            made.text = child
        else:
            made.append(child)
    return made


def with_defaults(mode: str) -> Element:
    """Return what asks for defaults in a mode of RFC 6243."""
    made = _made("with-defaults", {}, _WITH_DEFAULTS)
    made.text = mode
    return made


def _made(name: str, namespaces: Mapping[Any, str], own: str = BASE) -> Element:
    """Return an element of the namespace `own`, which needs no prefix in it, with prefixes for others."""
    return etree.Element(f"{{{own}}}{name}", nsmap={**namespaces, cast("Any", None): own})


def child(parent: Element, name: str) -> Element | None:
    """Return the first child of NETCONF's namespace called `name`, also where a device left the namespace out."""
    return next((each for each in parent if local_name(each) == name and namespace(each) in (BASE, "")), None)


def faults_of(reply: Element) -> list[RpcFault]:
    """Return the errors and warnings that a reply has, made harmless to show."""
    return [_fault(each) for each in reply if local_name(each) == "rpc-error"]


def told(faults: Sequence[RpcFault]) -> str:
    """Return what a device said against something, in one line."""
    shown = "; ".join(map(str, faults[:_SHOWN_ERRORS]))
    return shown + (f"; and {len(faults) - _SHOWN_ERRORS} more" if len(faults) > _SHOWN_ERRORS else "")


def _fault(error: Element) -> RpcFault:
    def text(name: str) -> str:
        found = next((each for each in error.iter() if local_name(each) == name), None)
        return "" if found is None else shortened(harmless(" ".join("".join(map(str, found.itertext())).split())))

    severity = text("error-severity")
    return RpcFault(
        tag=text("error-tag") or "operation-failed",
        severity="warning" if severity == "warning" else "error",
        path=text("error-path"),
        message=text("error-message") or text("error-app-tag"),
        session_id=text("session-id"),
    )


def modules_of(capabilities: Sequence[str]) -> dict[str, str]:
    """Return the namespace of each module that a device says it has (RFC 6020, 5.6.4)."""
    return {found[2]: found[1] for each in capabilities if (found := _MODULE.match(each)) is not None}


def local_name(node: Element) -> str:
    """Return the name of an element without its namespace."""
    return str(node.tag).rpartition("}")[2]


def namespace(node: Element) -> str:
    """Return the namespace of an element; empty where it has none."""
    tag = str(node.tag)
    return tag[1:].partition("}")[0] if tag.startswith("{") else ""
