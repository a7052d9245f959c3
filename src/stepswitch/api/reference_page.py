"""The description of the API as one page to read: no script, nothing from elsewhere, so it works without the Internet. Called by `app`."""

import json
import re
from collections.abc import Iterator, Sequence
from html import escape
from typing import Any, Final

JsonObject = dict[str, Any]
POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""The page's Content-Security-Policy."""
_STYLE: Final = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
code, pre { font: 0.9em ui-monospace, monospace; } pre { background: var(--soft); padding: 1rem; overflow-x: auto; }
table { border-collapse: collapse; width: 100%; margin: 0.5rem 0 1rem; } td, th { text-align: left; vertical-align: top; padding: 0.3rem 0.6rem;
border-bottom: 1px solid var(--line); } section { border-top: 1px solid var(--line); margin-top: 2rem; }
.method { display: inline-block; min-width: 4.5rem; font-weight: 700; } .path { overflow-wrap: anywhere; } nav li { list-style: none; }
"""
_CODE: Final = re.compile(r"`([^`]+)`")


def reference_page(document: JsonObject) -> str:
    """Return the page for an OpenAPI document."""
    info = document["info"]
    title = f"{escape(info['title'])} {escape(info['version'])}: the API"
    return "\n".join(
        [
            "<!doctype html>",
            f'<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>',
            f"<style>{_STYLE}</style></head><body><main><h1>{title}</h1>",
            *(f"<p>{_prose(part)}</p>" for part in info["description"].split("\n\n")),
            '<p>For machines: <a href="openapi.json">openapi.json</a>.</p>',
            *_contents(document),
            *_operations(document),
            "<h2>Structures</h2>",
            *(line for name, schema in document["components"]["schemas"].items() for line in _structure(name, schema)),
            "</main></body></html>",
        ]
    )


def _contents(document: JsonObject) -> Iterator[str]:
    yield "<nav><h2>Operations</h2><ul>"
    for path, method, operation in _each_operation(document):
        yield f'<li><a href="#{operation["operationId"]}"><span class="method">{method}</span><code class="path">{escape(path)}</code></a></li>'
    yield "</ul></nav>"


def _operations(document: JsonObject) -> Iterator[str]:
    for path, method, operation in _each_operation(document):
        yield f'<section id="{operation["operationId"]}"><h3>{escape(operation["summary"])}</h3>'
        yield f'<p><span class="method">{method}</span><code class="path">{escape(path)}</code></p><p>{_prose(operation["description"])}</p>'
        if operation["parameters"]:
            rows = [(f"<code>{each['name']}</code>", each["in"], _prose(each["description"])) for each in operation["parameters"]]
            yield _table(("Parameter", "in", "meaning"), rows)
        yield from _request(operation)
        yield _table(("Status", "body", "meaning"), [_response(status, each) for status, each in operation["responses"].items()])
        yield "</section>"


def _request(operation: JsonObject) -> Iterator[str]:
    body = operation.get("requestBody")
    if body is not None:
        content = next(iter(body["content"].values()))
        yield f"<p>Request: {_type_of(content['schema'])}</p>"
        if "example" in content:
            yield f"<pre>{escape(json.dumps(content['example'], indent=2, ensure_ascii=False), quote=False)}</pre>"


def _response(status: str, response: JsonObject) -> tuple[str, str, str]:
    content = response.get("content")
    return status, _type_of(next(iter(content.values()))["schema"]) if content else "none", _prose(response["description"])


def _structure(name: str, schema: JsonObject) -> Iterator[str]:
    yield f'<section id="{name}"><h3>{name}</h3><p>{_prose(schema.get("description", ""))}</p>'
    if "enum" in schema:
        yield f"<p>{', '.join(f'<code>{escape(str(value))}</code>' for value in schema['enum'])}</p>"
    required = set(schema.get("required", ()))
    rows = [
        (
            f"<code>{escape(field)}</code>{'*' if field in required else ''}",
            _type_of(each),
            _prose(each.get("description", "")) + _sample(each),
        )
        for field, each in schema.get("properties", {}).items()
    ]
    if rows:
        yield _table(("Field (* always there)", "type", "meaning"), rows)
    yield "</section>"


def _sample(schema: JsonObject) -> str:
    samples = schema.get("examples")
    return f" Example: <code>{escape(json.dumps(samples[0], ensure_ascii=False), quote=False)}</code>" if samples else ""


def _type_of(schema: JsonObject) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return f'<a href="#{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(_type_of(each) for each in schema["anyOf"] if each != {"type": "null"})
    if "contentSchema" in schema:
        return _type_of(schema["contentSchema"])
    if values := schema.get("enum", [schema["const"]] if "const" in schema else ()):
        return " or ".join(f"<code>{escape(str(value))}</code>" for value in values)
    return _type_of_many(schema)


def _type_of_many(schema: JsonObject) -> str:
    """Return the type of what has parts, or of a single value where it has none."""
    if schema.get("type") == "array":
        return f"array of {_type_of(schema['items'])}"
    if schema.get("type") == "object" and isinstance(inner := schema.get("additionalProperties"), dict):
        return f"map of {_type_of(inner)}"
    if "properties" in schema:
        return ", ".join(f"<code>{escape(name)}</code>: {_type_of(each)}" for name, each in schema["properties"].items())
    return escape(" ".join(filter(None, (schema.get("type", "anything"), schema.get("format")))))


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    headings = "".join(f"<th>{text}</th>" for text in head)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{headings}</tr>{body}</table>"


def _each_operation(document: JsonObject) -> Iterator[tuple[str, str, JsonObject]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method.upper(), operation


def _prose(text: str) -> str:
    return _CODE.sub(r"<code>\1</code>", escape(text, quote=False))
