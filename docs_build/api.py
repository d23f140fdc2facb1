"""The API reference, from docs/openapi.json: operations by tag, then the shapes they share."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docs_build.tables import code, table

SPEC = Path(__file__).parent.parent / "docs" / "openapi.json"
Schema = dict[str, Any]
TITLES = {
    "memory": "Memory", "facts": "Facts", "documents": "Documents", "generation": "Generation",
    "openai": "OpenAI's API", "tenants": "Tenants", "snapshot": "Snapshots", "keys": "Keys",
    "audit": "Audit and receipts", "health": "Health",
}  # fmt: skip
COMMON = {"tenant"}  # parameters explained once
HIDDEN = {"ErrorReply", "ErrorBody", "ErrorDetail", "JsonValue"}


def page() -> str:
    spec: Schema = json.loads(SPEC.read_text("utf-8"))
    shapes = spec["components"]["schemas"]
    tags: dict[str, list[str]] = {}
    for path, item in spec["paths"].items():
        for verb, operation in item.items():
            text = "\n".join(_operation(verb.upper(), path, operation, shapes))
            tags.setdefault(operation["tags"][0], []).append(text)
    parts = [f"## {TITLES.get(tag, tag)}\n\n" + "\n".join(ops) for tag, ops in tags.items()]
    return "\n".join(parts) + "\n" + "\n".join(_shapes(shapes))


def _operation(verb: str, path: str, operation: Schema, shapes: Schema) -> Iterator[str]:
    yield f"### {verb} `{path}` {{ #{operation['operationId']} }}\n"
    yield f"{operation.get('description', '')}\n"
    rows = [
        [code(p["name"]), p["in"], _type(p["schema"]), p.get("description", "")]
        for p in operation.get("parameters", ())
        if p["name"] not in COMMON
    ]
    if rows:
        yield table(("parameter", "in", "type", "about"), rows)
    for kind, body in operation.get("requestBody", {}).get("content", {}).items():
        yield f"**Body**, `{kind}`\n"
        yield from _fields(body, shapes)
    for status, reply in operation["responses"].items():
        for kind, body in reply.get("content", {}).items() if status[0] == "2" else ():
            yield f"**Reply** {status}, `{kind}`\n"
            yield from _fields(body, shapes)
        if status[0] == "2" and not reply.get("content"):
            yield f"**Reply** {status}, without a body.\n"


def _fields(body: Schema, shapes: Schema) -> Iterator[str]:
    """The fields of a body that has a shape."""
    shape = shapes.get(_name(body.get("schema", {})))
    if shape and "properties" in shape:
        yield _properties(shape)


def _shapes(shapes: Schema) -> Iterator[str]:
    """The shapes that others hold: what only one body is stands with its operation."""
    yield "## Shapes\n"
    yield "What bodies are made of. Errors have [a page of their own](errors.md).\n"
    held = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(list(shapes.values()))))
    for name in sorted(name for name in held - HIDDEN if "properties" in shapes[name]):
        yield f"### {name} {{ #{name.lower()} }}\n"
        if about := shapes[name].get("description"):
            yield f"{about}\n"
        yield _properties(shapes[name])


def _properties(shape: Schema) -> str:
    required = shape.get("required", ())
    rows = [[code(name) + ("" if name in required else " *"), _type(field), _about(field)]
            for name, field in shape["properties"].items()]  # fmt: skip
    note = "" if len(required) == len(rows) else "\n\\* optional\n"
    return table(("field", "type", "about"), rows) + note


def _about(field: Schema) -> str:
    parts = [field["description"]] if field.get("description") else []
    if field.get("default") not in (None, [], {}):
        parts.append(f"Default {code(json.dumps(field['default'], ensure_ascii=False))}.")
    return " ".join(parts)


def _name(schema: Schema) -> str:
    return str(schema.get("$ref", "")).rpartition("/")[2]


def _type(schema: Schema) -> str:
    """A JSON Schema in words: `string, at most 128 characters`, `list of [FactIn](#factin)`."""
    if name := _name(schema):
        return "any JSON" if name == "JsonValue" else f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"])
    if "enum" in schema:
        return " or ".join(code(json.dumps(value)) for value in schema["enum"])
    if "const" in schema:
        return code(json.dumps(schema["const"]))
    kind = schema.get("type", "any JSON")
    if kind == "array":
        kind = f"list of {_type(schema['items'])}"
    elif kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        kind = f"object of {_type(schema['additionalProperties'])}"
    return ", ".join([kind, *_bounds(schema)])


def _bounds(schema: Schema) -> Iterator[str]:
    for key, words in (("minItems", "at least {} items"), ("maxItems", "at most {} items"),
                       ("minLength", "at least {} characters"),
                       ("maxLength", "at most {} characters"), ("minimum", "≥ {}"),
                       ("exclusiveMinimum", "> {}"), ("maximum", "≤ {}"),
                       ("exclusiveMaximum", "< {}")):  # fmt: skip
        if key in schema:
            yield (
                words.format(f"{schema[key]:,.16g}" if schema[key] != 1 else "1")
                .replace(" 1 items", " one item")
                .replace(" 1 characters", " one character")
            )
    if schema.get("pattern") == r"\S":
        yield "not blank"
    elif "pattern" in schema:
        yield f"matching {code(schema['pattern'])}"
