"""The application: what surrounds every request, and the routes.

request → RequestId → SecurityHeaders → Observe → Errors → MetricsPort → Admission
        → BodyLimit → Authenticate → route (allow(scope) → strict body → engine, store) → reply
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.routing import Match

from memory_store.store import MemoryStore
from service import __version__, middleware
from service.engine.protocol import Engine
from service.errors import TABLE, BodyTooLarge, Problem
from service.resources import Service
from service.routes import (
    audit,
    console,
    documentation,
    documents,
    facts,
    forget,
    generation,
    health,
    keys,
    memory,
    openai,
    reencode,
    snapshot,
    tenants,
)
from service.schemas import ErrorReply
from service.settings import Settings
from service.validation import validation_problem

MIDDLEWARE = [
    Middleware(middleware.RequestId),
    Middleware(middleware.SecurityHeaders),
    Middleware(middleware.Observe),
    Middleware(middleware.Errors),
    Middleware(middleware.MetricsPort),
    Middleware(middleware.Admission),
    Middleware(middleware.BodyLimit),
    Middleware(middleware.Authenticate),
]
ROUTERS = [
    memory.router,
    forget.router,
    facts.router,
    documents.router,
    generation.router,
    openai.router,
    tenants.router,
    snapshot.router,
    reencode.router,
    keys.router,
    audit.router,
    health.router,
    documentation.router,
    console.router,
]
ERRORS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": ErrorReply, "description": "The request was refused; nothing was written."},
    "5XX": {"model": ErrorReply, "description": "The service failed or cannot serve now."},
}
METHODS = ("DELETE", "GET", "HEAD", "POST", "PUT")
ROUTER_CODES = {404: "not_found", 405: "method_not_allowed", 413: TABLE[BodyTooLarge][1]}


def create_app(
    settings: Settings, *, engine: Engine | None = None, store: MemoryStore | None = None
) -> FastAPI:
    """The ASGI application. Without `engine` and `store` it makes the real ones."""
    service = Service(settings, engine, store)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        try:
            await service.open()
            yield
        finally:
            await service.close()

    app = FastAPI(
        title="Larimar Service",
        summary="Edit what a language model knows, while it runs.",
        version=__version__,
        lifespan=lifespan,
        telemetry=service.tracing.telemetry(),
        middleware=MIDDLEWARE,
        responses=ERRORS,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=_operation_id,
        exception_handlers={
            HTTPException: _on_http_error,
            RequestValidationError: _on_validation_error,
        },
    )
    app.state.service = service
    for router in ROUTERS:
        app.include_router(router)
    return app


def _operation_id(route: APIRoute) -> str:
    return route.name


async def _on_http_error(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)
    code = ROUTER_CODES.get(exc.status_code, "invalid_request")
    headers = _allowed(request) if exc.status_code == 405 else exc.headers
    problem = Problem(exc.status_code, code, exc.detail, headers=headers or {})
    return middleware.problem_response(problem, request.state.request_id)


def _allowed(request: Request) -> dict[str, str]:
    """What the path offers: the router names only the methods of its first route."""

    def offered(method: str) -> bool:
        scope = dict(request.scope) | {"method": method}
        return any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)

    return {"Allow": ", ".join(filter(offered, METHODS))}


async def _on_validation_error(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, RequestValidationError)
    problem = validation_problem(exc.errors())
    return middleware.problem_response(problem, request.state.request_id)
