"""Strict JSON in, and validation errors out, never echoing what was sent.

Python's own JSON parser takes NaN, 1e999 and lone surrogates, and FastAPI then fails with a 500
when it tries to answer. `StrictRoute` parses with pydantic's parser instead, which also bounds
nesting and the length of numbers. It is also the one place where content may be logged.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

import structlog
from fastapi.routing import APIRoute
from pydantic_core import from_json
from starlette.requests import Request
from starlette.responses import Response

from service.errors import Problem, UnsupportedMediaType
from service.middleware import service_of

log = structlog.get_logger()
MAX_DETAILS = 20
_FIELD = re.compile(r"[A-Za-z_-]+")


class StrictRequest(Request):
    async def json(self) -> Any:
        """The body as JSON; what is not JSON by RFC 8259 is a JSONDecodeError."""
        try:
            body = from_json(await self.body(), allow_inf_nan=False)
            if service_of(self.scope).settings.log_content:
                log.info("content", body=body)
            return body
        except ValueError as exc:
            # An empty document: the error must not carry the body along.
            raise json.JSONDecodeError(str(exc), "", 0) from None


class StrictRoute(APIRoute):
    """A route whose JSON body is parsed strictly."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()
        wants_json = self.body_field is not None

        async def strict(plain: Request) -> Response:
            request = StrictRequest(plain.scope, plain.receive)
            if wants_json and await request.body() and not _is_json(request):
                raise UnsupportedMediaType()
            return await handler(request)

        return strict


def _is_json(request: Request) -> bool:
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    return media_type == "application/json" or media_type.endswith("+json")


def validation_problem(errors: Sequence[Mapping[str, Any]]) -> Problem:
    """One problem for all of a request's validation errors: the first one leads."""
    if errors[0]["type"] == "json_invalid":
        reason = errors[0].get("ctx", {}).get("error", "")
        return Problem(400, "invalid_json", f"the body is not valid JSON: {reason}")
    details = [_detail(error) for error in errors[:MAX_DETAILS]]
    first = details[0]
    return Problem(422, first["code"], first["message"], param=first["param"], details=details)


def _detail(error: Mapping[str, Any]) -> dict[str, Any]:
    kind = error["type"]
    # The name of an unknown field, or a wrong key of a mapping, is the client's own text.
    location = error["loc"][:-1] if kind == "extra_forbidden" else error["loc"]
    code = kind if kind in CODES else "invalid_request"
    return {"param": _param(location), "code": code, "message": _message(error)}


# Codes that schemas.py raises through PydanticCustomError; all else is `invalid_request`.
CODES = frozenset({"blank_text", "fact_too_long", "prompt_too_long", "text_not_storable"})


def _message(error: Mapping[str, Any]) -> str:
    return str(error["msg"]).removeprefix("Value error, ")


def _param(location: Sequence[str | int]) -> str | None:
    """("body", "facts", 17, "text") → facts[17].text"""
    name = ""
    for part in location[1:]:
        if isinstance(part, int):
            name += f"[{part}]"
        elif _FIELD.fullmatch(part):  # a union names its branches in between: list[…]
            name += f".{part}" if name else part
        if part == "metadata":
            break  # names below are the client's own
    return name or None
