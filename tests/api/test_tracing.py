"""Traces reach a collector by OTLP, joined to the caller's, and carry no content."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from benchmarks.processes import process
from service.settings import SettingsError
from service.tracing import Tracing
from tests.api.calls import FACT, Tenant
from tests.api.running import settings

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@contextmanager
def collector() -> Iterator[tuple[str, list[bytes]]]:
    """Its address and the bodies that it was sent."""
    bodies: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", bodies
        server.shutdown()
        thread.join()


def attributes(span: Span) -> dict[str, str]:
    return {one.key: one.value.string_value for one in span.attributes}


def test_a_request_is_one_trace_without_content(tmp_path: Path) -> None:
    with (
        collector() as (endpoint, bodies),
        process(tmp_path, LARIMAR_OTLP_ENDPOINT=endpoint) as one,
        one.client() as client,
    ):
        tenant = Tenant(client, "default")
        header = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
        written = tenant.post("write", {"facts": [FACT]}, **header)
        tenant.post("write", {"facts": [{"hunter2": FACT}]}, **header)
        tenant.text("hunter2 says")
        one.popen.terminate()
        assert one.end()[0] == 0
    spans = [
        span
        for body in bodies
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    mine = [span for span in spans if span.trace_id.hex() == TRACE]
    request = next(span for span in mine if span.parent_span_id.hex() == PARENT)
    assert request.name == "POST /v1/tenants/{tenant}/write"
    shown = attributes(request)
    assert shown["larimar.request_id"] == written.headers["X-Request-ID"]
    assert (shown["larimar.tenant"], shown["larimar.key_id"]) == ("default", "admin")
    stored = next(span for span in mine if span.name == "store.write")
    assert stored.parent_span_id == request.span_id
    assert any(span.name == "generate" and span.events for span in spans)
    for text in (b"hunter2", b"capital", b"Lyon"):
        assert not any(text in body for body in bodies)


def test_without_its_packages_a_start_ends_with_one_line(
    valkey: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(SettingsError, match=r"larimar-service\[otel\]"):
        Tracing(settings(valkey, otlp_endpoint="http://127.0.0.1:4318"))
