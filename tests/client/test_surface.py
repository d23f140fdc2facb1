"""The client covers the service: every call, and every field of every reply, as the committed
description of the API has them."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from dataclasses import is_dataclass
from functools import partial
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints
from urllib.parse import quote

import pytest

from larimar_client import AsyncLarimar, AsyncTenant, Larimar, Tenant, calls, models, streams
from larimar_client.calls import Call

ROOT = Path(__file__).parents[2]
API = json.loads((ROOT / "docs/openapi.json").read_text(encoding="utf-8"))
ELSEWHERE = {  # OpenAI's own client speaks these
    ("post", "/v1/completions"),
    ("post", "/v1/chat/completions"),
    ("get", "/v1/models"),
    ("get", "/v1/models/{id}"),
}
EXAMPLES: dict[str, Any] = {
    "tenant": "t", "facts": [], "queries": "q", "prompt": "p", "targets": [], "id": "i",
    "text": "t", "snapshot": Path("s"), "tenants": "*", "scopes": [], "checkpoint": "c",
}  # fmt: skip


def made() -> dict[tuple[str, str], tuple[str, Call[Any]]]:
    """(method, path) → name and example of every call that the client can make."""
    found = {}
    for module in (streams, calls):  # a plain call stands for its stream
        for name, build in vars(module).items():
            if not inspect.isfunction(build) or name.startswith("_"):
                continue
            if str(inspect.signature(build).return_annotation).split("[")[0] not in (
                "Call", "StreamCall",
            ):  # fmt: skip
                continue
            needed = inspect.signature(build).parameters.values()
            given = {p.name: EXAMPLES[p.name] for p in needed if p.default is p.empty}
            call = build(**given)
            one: Call[Any] = getattr(call, "call", call)
            path = one.path.replace("/tenants/t", "/tenants/{tenant}").replace("/i", "/{id}")
            found[one.method.lower(), path] = name, one
    return found


def described() -> dict[tuple[str, str], dict[str, Any]]:
    """(method, path) → what is described of every call of the service."""
    return {
        (method, re.sub(r"\{(?!tenant)\w+\}", "{id}", path)): operation
        for path, operations in API["paths"].items()
        for method, operation in operations.items()
        if path.startswith("/v1/")
    }


def test_every_call_of_the_service_can_be_made() -> None:
    assert set(described()) - set(made()) == ELSEWHERE
    assert set(made()) <= set(described())


def test_both_clients_have_all_of_them() -> None:
    public = {name for name in dir(Tenant) if not name.startswith("_")}
    assert public == {name for name in dir(AsyncTenant) if not name.startswith("_")}
    service = {name for name in dir(Larimar) if not name.startswith("_")} - {"close"}
    assert service == {name for name in dir(AsyncLarimar) if not name.startswith("_")} - {"aclose"}
    assert {name for name, _ in made().values()} <= public | service
    for one in (Larimar, Tenant):
        for name in vars(one):
            if not name.startswith("_") and callable(getattr(one, name)):
                assert getattr(one, name).__doc__, (one, name)


def replied(operation: dict[str, Any]) -> list[Any]:
    """The schemas of an operation's successful replies, as far as they are JSON."""
    successes = [reply for status, reply in operation["responses"].items() if status[0] == "2"]
    bodies = [reply.get("content", {}).get("application/json") for reply in successes]
    return [body["schema"] for body in bodies if body is not None]


def union(forms: Iterable[Any]) -> Any:
    """A union, in no order; of one it is that one."""
    one = frozenset(forms)
    return next(iter(one)) if len(one) == 1 else one


def of_schema(schema: dict[str, Any]) -> Any:
    """What a value may be, as `of_hint` says it too."""
    if "$ref" in schema:
        return of_schema(API["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    if "anyOf" in schema:
        return union(of_schema(one) for one in schema["anyOf"])
    if "enum" in schema or "const" in schema:
        return union(schema.get("enum", [schema.get("const")]))
    if schema["type"] == "array":
        return ("array", of_schema(schema["items"]))
    if "properties" in schema:
        return frozenset((name, of_schema(one)) for name, one in schema["properties"].items())
    return schema["type"]


JSON = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}


def of_hint(hint: Any) -> Any:
    if is_dataclass(hint):
        return frozenset((name, of_hint(one)) for name, one in get_type_hints(hint).items())
    kind, inner = get_origin(hint), get_args(hint)
    if kind in (Union, UnionType):
        return union(of_hint(one) for one in inner)
    if kind is Literal:
        return union(inner)
    if kind is list:
        return ("array", of_hint(inner[0]))
    return "object" if kind is dict else JSON[hint]


def reached(hint: Any) -> set[type]:
    """The dataclasses that a reply of this type is made of."""
    inner = get_type_hints(hint).values() if is_dataclass(hint) else get_args(hint)
    return {hint} & set(MODELS) | {kind for one in inner for kind in reached(one)}


MODELS = [kind for kind in vars(models).values() if is_dataclass(kind)]
READ = {where: (name, call.parse.args[0]) for where, (name, call) in made().items()
        if isinstance(call.parse, partial)}  # fmt: skip


@pytest.mark.parametrize("where", READ, ids=lambda where: READ[where][0])
def test_a_reply_is_read_as_it_is_described(where: tuple[str, str]) -> None:
    """Every field and no other, of the same type, all the way down."""
    _, kind = READ[where]
    (reply,) = {str(one): one for one in replied(described()[where])}.values()
    assert of_hint(kind) == of_schema(reply)


def test_every_reply_is_read_and_nothing_else_is() -> None:
    replies = {where for where, one in described().items() if replied(one)}
    assert replies - ELSEWHERE == set(READ)
    kinds = {kind for _, one in READ.values() for kind in reached(one)}
    assert set(MODELS) - kinds == {models.Token}  # an event, which the description does not reach


def test_a_name_is_quoted_in_a_path() -> None:
    assert calls.fact("a/b", "c?d").path == f"/v1/tenants/{quote('a/b', safe='')}/facts/c%3Fd"


def test_the_wheel_holds_the_package_and_says_that_it_is_typed(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT / "clients/python", check=True, capture_output=True)
    (wheel,) = tmp_path.iterdir()
    assert wheel.name == "larimar_client-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = archive.read("larimar_client-0.1.0.dist-info/METADATA").decode()
    source = ROOT / "clients/python/larimar_client"
    assert {f"larimar_client/{p.name}" for p in source.iterdir() if p.is_file()} <= names
    assert "larimar_client/py.typed" in names
    assert "Requires-Dist: httpx" in metadata
