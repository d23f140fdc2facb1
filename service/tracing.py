"""Traces by OpenTelemetry: one span a request, with spans of the store's calls and generations.

FastAPI makes the request's span and joins the caller's trace. What else it could send stays off:
its logs would carry what clients sent. Without LARIMAR_OTLP_ENDPOINT nothing is recorded.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from fastapi.telemetry import TelemetryConfig
from opentelemetry import trace
from opentelemetry.trace import Span, TracerProvider

from service import __version__
from service.settings import Settings, SettingsError

if TYPE_CHECKING:
    from starlette.types import Scope


class Tracing:
    """The tracer of one application; without an endpoint it does nothing."""

    def __init__(self, settings: Settings) -> None:
        self._sdk = _provider(settings.otlp_endpoint) if settings.otlp_endpoint else None
        self.provider: TracerProvider = self._sdk or trace.NoOpTracerProvider()
        self._tracer = self.provider.get_tracer("larimar", __version__)

    @contextmanager
    def span(self, name: str) -> Iterator[Span]:
        """A span around what is done inside; an error's text may be content and is left out."""
        with self._tracer.start_as_current_span(name, record_exception=False) as span:
            yield span

    def begin(self, name: str) -> Span:
        """A span that ends when it is told to: for what goes on across several tasks."""
        return self._tracer.start_span(name)

    def telemetry(self) -> TelemetryConfig:
        """What FastAPI is to record."""
        return TelemetryConfig(
            tracing=True,
            tracer_provider=self.provider,
            operation_spans=False,
            metrics=False,
            logs=False,
            auto_configure=False,
            exclude=_is_probe,
        )

    def close(self) -> None:
        """Send what is left."""
        if self._sdk is not None:
            self._sdk.shutdown()


def annotate(**attributes: str | int) -> None:
    """Add to the request's span, under `larimar.`"""
    span = trace.get_current_span()
    span.set_attributes({f"larimar.{name}": value for name, value in attributes.items()})


def _is_probe(scope: Scope) -> bool:
    return not scope["path"].startswith("/v1/")


def _provider(endpoint: str) -> Any:
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider as SdkProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise SettingsError(
            "LARIMAR_OTLP_ENDPOINT needs the extra `otel`: pip install 'larimar-service[otel]'"
        ) from None
    resource = {"service.name": "larimar", "service.version": __version__}
    provider = SdkProvider(resource=Resource.create(resource))
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider
