"""The configuration reference: every field of service/settings.py, in the order of the file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docs_build.tables import code, table
from service.settings import Settings

SECTIONS = {
    "host": "Address and data",
    "embedded": "The store",
    "quota_facts": "What a tenant may use",
    "auth": "Who may call",
    "body_bytes": "Limits",
    "checkpoint": "The model",
    "drain_delay": "Life cycle and logs",
}  # a section begins at this field


def page() -> str:
    return "\n".join(_parts())


def _parts() -> Iterator[str]:
    schema: dict[str, dict[str, Any]] = Settings.model_json_schema()["properties"]
    rows: list[list[str]] = []
    for name, field in Settings.model_fields.items():
        if name in SECTIONS:
            if rows:
                yield table(HEAD, rows)
            yield f"## {SECTIONS[name]}\n"
            rows = []
        default = "" if field.default is None else code(_shown(field.default))
        about = f"{field.description} {_values(schema[name])}".strip()
        rows.append([code(f"LARIMAR_{name.upper()}"), default, about])
    yield table(HEAD, rows)


HEAD = ("variable", "default", "what it does")


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    for power, unit in ((30, "GiB"), (20, "MiB")):
        if isinstance(value, int) and value and value % (1 << power) == 0:
            return f"{value} ({value >> power} {unit})"
    return value.as_posix() if isinstance(value, Path) else str(value)


def _values(schema: dict[str, Any]) -> str:
    """The values that may be given, where they are few."""
    values = schema.get("enum", ())
    return f"One of {', '.join(map(code, values))}." if values else ""
