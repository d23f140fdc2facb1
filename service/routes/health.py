"""Probes and metrics: what an orchestrator and Prometheus ask.

Readiness does not fail when Redis blinks, or every replica would leave at once; it says so in
its body. It fails while starting and from the first moment of draining.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import Annotated

from fastapi import APIRouter, Header
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import Response

from memory_store.store import MemoryStore
from service.errors import Unauthenticated
from service.routes.common import Running
from service.schemas_admin import LiveReply, ReadyReply

router = APIRouter(tags=["health"])
STORE_SECONDS = 1.0  # less than a probe's patience: a Redis that hangs must not fail it


@router.get("/livez")
async def livez(service: Running) -> LiveReply:
    """Whether the process should go on."""
    if service.lifecycle.state == "failed":
        raise service.lifecycle.ended()
    return LiveReply(status="alive")


@router.get("/readyz")
async def readyz(service: Running) -> ReadyReply:
    """Whether the process takes requests."""
    if service.lifecycle.state != "ready":
        raise service.lifecycle.ended()
    reachable = await _answers(service.store)
    if not reachable:  # told where nobody else asks, too
        service.metrics.store_unavailable.inc()
    return ReadyReply(
        status="ready",
        store="up" if reachable else "down",
        model=service.engine.model_id,
        checkpoint=service.engine.spec.fingerprint,
    )


async def _answers(store: MemoryStore) -> bool:
    try:
        return await asyncio.wait_for(store.ping(), STORE_SECONDS)
    except TimeoutError:
        return False


@router.get("/metrics", response_class=Response)
async def metrics(
    service: Running, authorization: Annotated[str | None, Header()] = None
) -> Response:
    """Metrics in Prometheus' text format; behind LARIMAR_METRICS_TOKEN where it is set."""
    token = service.settings.metrics_token
    if token is not None:
        expected = f"Bearer {token.get_secret_value()}".encode()
        if not secrets.compare_digest((authorization or "").encode(), expected):
            raise Unauthenticated("send the metrics token")
    return Response(generate_latest(service.metrics.registry), media_type=CONTENT_TYPE_LATEST)
