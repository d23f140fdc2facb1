"""What happens around every request, as pure ASGI classes; app.py lists them in order.

Pure ASGI and not `BaseHTTPMiddleware`, which would break streaming and context variables.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import BodyTooLarge, NoSuchPath, Problem, envelope, problem_of
from service.tracing import annotate

if TYPE_CHECKING:
    from service.resources import Service

log = structlog.get_logger()
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
# Probes and the page of metrics answer in every state and are not worth a line in the log.
PROBES = frozenset({"/livez", "/readyz", "/metrics"})


def service_of(scope: Scope) -> Service:
    service: Service = scope["app"].state.service
    return service


def operation(scope: Scope) -> str:
    """The route's name: a bounded set, unlike the path."""
    return getattr(scope.get("route"), "name", None) or "unmatched"


def problem_response(problem: Problem, request_id: str) -> JSONResponse:
    return JSONResponse(envelope(problem, request_id), problem.status, dict(problem.headers))


class RequestId:
    """X-Request-ID in and out, bound to every line of the log."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        annotate(request_id=request_id)

        async def tagged(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
            await send(message)

        await self.app(scope, receive, tagged)


class SecurityHeaders:
    """Headers that keep a browser from being used against its user."""

    HEADERS: Mapping[str, str] = {
        "Content-Security-Policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "X-Frame-Options": "DENY",
    }

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self.HEADERS.items():
                    headers.setdefault(name, value)
                if scope["path"].startswith("/v1/"):
                    headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self.app(scope, receive, guarded if scope["type"] == "http" else send)


class Observe:
    """Counts, times and logs a request once its last byte is out."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        service = service_of(scope)
        started, status = time.perf_counter(), 499  # 499: the client left before a reply

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        service.metrics.inflight.inc()
        try:
            await self.app(scope, receive, watched)
        finally:
            seconds = time.perf_counter() - started
            op = operation(scope)
            service.metrics.inflight.dec()
            service.metrics.requests.labels(op, str(status)).inc()
            service.metrics.duration.labels(op).observe(seconds)
            if scope["path"] not in PROBES:
                log.info("request", op=op, status=status, ms=round(seconds * 1000, 1))


class Errors:
    """Turns whatever is raised into the one envelope; after the first byte it only re-raises."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except Exception as exc:
            if started:
                raise
            problem = problem_of(exc)
            if problem.status >= 500:
                log_failure(exc, problem)
            note_rejection(service_of(scope), problem)
            response = problem_response(problem, scope["state"]["request_id"])
            await response(scope, receive, send)


def log_failure(exc: Exception, problem: Problem) -> None:
    """A stack only for what nobody foresaw; a store that is away needs one line.

    That a service starts or drains is told to every probe, and is no failure.
    """
    if problem.code in ("starting", "draining"):
        log.debug("not ready", code=problem.code)
    elif problem.code == "internal_error":
        log.error("failure", code=problem.code, exc_info=exc)
    else:
        log.warning("failure", code=problem.code, error=type(exc).__name__)


def note_rejection(service: Service, problem: Problem) -> None:
    if problem.code in ("queue_full", "rate_limited", "draining", "starting"):
        service.metrics.rejections.labels(problem.code).inc()
    elif problem.code == "store_unavailable":
        service.metrics.store_unavailable.inc()


class MetricsPort:
    """With LARIMAR_METRICS_PORT, metrics are there and nowhere else, and nothing else is there."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            own = service_of(scope).settings.metrics_port
            is_there = scope["server"] is not None and scope["server"][1] == own
            if own is not None and is_there != (scope["path"] == "/metrics"):
                raise NoSuchPath()
        await self.app(scope, receive, send)


class Admission:
    """Lets nothing in while starting or late in draining, and counts what is in progress."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/v1/"):
            return await self.app(scope, receive, send)
        lifecycle = service_of(scope).lifecycle
        refusal = lifecycle.refusal()
        if refusal is not None:
            raise refusal

        async def closing(message: Message) -> None:
            # A client that keeps its connections must not come back on this one.
            if message["type"] == "http.response.start" and lifecycle.state == "draining":
                MutableHeaders(scope=message)["Connection"] = "close"
            await send(message)

        lifecycle.enter()
        try:
            await self.app(scope, receive, closing)
        finally:
            lifecycle.leave()


class BodyLimit:
    """413 before a body grows past its limit, whether or not its length was announced."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        limit = service_of(scope).body_limit(scope["path"])
        announced = Headers(scope=scope).get("content-length", "")
        if announced.isdecimal() and int(announced[:20]) > limit:
            raise BodyTooLarge(f"the body may have at most {limit} bytes")
        size = 0

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > limit:
                # An HTTPException: FastAPI would take any other for a malformed body.
                raise HTTPException(413, f"the body may have at most {limit} bytes")
            return message

        await self.app(scope, counted, send)


class Authenticate:
    """Finds the caller of everything under /v1/ before its body is read."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith("/v1/"):
            authorization = Headers(scope=scope).get("authorization")
            caller = await service_of(scope).authenticate(authorization)
            scope["state"]["principal"] = caller
            structlog.contextvars.bind_contextvars(key_id=caller.id)
            annotate(key_id=caller.id)
        await self.app(scope, receive, send)
