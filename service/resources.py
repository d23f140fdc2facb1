"""What a running service holds: Redis, keys, engine, store; opened in order, closed in reverse.

Redis and the keys are there before the first request; the model loads behind the open door,
while probes already answer and everything else is told `starting`.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator
from functools import partial

import structlog
from redis.asyncio import RedisCluster

from memory_store.embedded import EmbeddedValkey
from memory_store.errors import CheckpointMismatch, StoreError, VersionConflict
from memory_store.redis_store import RedisStore, connect
from memory_store.scripts import FAILURES
from memory_store.store import MemoryStore
from service.audit import Audit
from service.auth import Authenticator, Principal, admin_key
from service.background import in_daemon
from service.engine.protocol import Engine, EngineStopped
from service.errors import Starting
from service.keystore import KeyStore
from service.lifecycle import Lifecycle
from service.limits import Limits
from service.metrics import Metrics
from service.receipts import signer
from service.settings import Settings, SettingsError
from service.tracing import Tracing

log = structlog.get_logger()
DEFAULT_TENANT = "default"
RECONNECT_SECONDS = 0.5
WATCH_SECONDS = 0.5
SWEEP_SECONDS = 60.0


class Service:
    """The parts of one process, shared by all requests."""

    def __init__(
        self, settings: Settings, engine: Engine | None = None, store: MemoryStore | None = None
    ) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.tracing = Tracing(settings)
        self.lifecycle = Lifecycle()
        self._engine, self._store = engine, store
        self._embedded: EmbeddedValkey | None = None
        self._life: asyncio.Task[None] | None = None
        self._sweeping: asyncio.Task[None] | None = None
        self._started = asyncio.Event()

    # --- what requests use ----------------------------------------------------------------

    @property
    def engine(self) -> Engine:
        if self._engine is None:
            raise Starting()
        return self._engine

    @property
    def store(self) -> MemoryStore:
        if self._store is None:
            raise Starting()
        return self._store

    async def authenticate(self, authorization: str | None) -> Principal:
        return await self._authenticator(authorization)

    def body_limit(self, path: str) -> int:
        """Bytes that a body under this path may have."""
        if path.startswith("/v1/tenants/"):
            if path.endswith("/documents"):
                return self.settings.document_bytes
            if path.endswith("/snapshot"):
                return self.settings.snapshot_bytes
        return self.settings.body_bytes

    @contextlib.contextmanager
    def timed(self, op: str) -> Iterator[None]:
        """Time and count one call of the store."""
        started = time.perf_counter()
        try:
            with self.tracing.span(f"store.{op}"):
                yield
        except StoreError as exc:
            self.metrics.store_errors.labels(op).inc()
            if isinstance(exc, VersionConflict):
                self.metrics.conflicts.inc()
            raise
        finally:
            self.metrics.store_duration.labels(op).observe(time.perf_counter() - started)

    # --- life -----------------------------------------------------------------------------

    async def open(self) -> None:
        """Keys and Redis now, the model in the background. Raises what stops a start."""
        settings = self.settings
        first_key = admin_key(settings)
        if first_key is None:
            # At the one level that no setting can silence.
            log.critical("authentication is off: everyone may do everything")
        url = await self._redis_url()
        self.redis = RedisCluster.from_url(url) if settings.redis_cluster else connect(url)
        self.limits = Limits(self.redis, settings)
        self.audit = Audit(self.redis, settings.audit_entries)
        self.signer = signer(settings)
        self.keys = KeyStore(self.redis, max_stale=settings.max_stale_seconds)
        self._authenticator = Authenticator(self.keys, first_key)
        self._life = asyncio.create_task(self._live(), name="life")

    async def _redis_url(self) -> str:
        if self.settings.redis_url is not None:
            return self.settings.redis_url.get_secret_value()
        address = f"http://{self.settings.host}:{self.settings.port}"
        self._embedded = EmbeddedValkey(self.settings.data_path, address)
        try:
            return await asyncio.to_thread(self._embedded.start)
        except OSError as exc:
            raise SettingsError(f"LARIMAR_DATA_DIR cannot be used: {exc}") from None

    async def _live(self) -> None:
        try:
            if self._engine is None:
                self._engine = await in_daemon(partial(_load_engine, self.settings))
            await self._engine.start()
            if self._store is None:
                self._store = RedisStore(
                    self.redis,
                    self._engine.spec,
                    cache_bytes=self.settings.cache_bytes,
                    max_stale_seconds=self.settings.max_stale_seconds,
                    replicas=self.settings.replicas,
                    default_quota=self.settings.quota_facts,
                )
            self.metrics.follow(self._engine, self._store)
            await self._reach_store(self._store)
            self.lifecycle.to("ready")
            log.info("ready", model=self._engine.model_id)
            self._sweeping = asyncio.create_task(
                sweep_for_ever(self._store, self.audit), name="sweep"
            )
            await self._watch(self._engine)
        except Exception as exc:
            log.error("the service cannot go on", exc_info=exc)
            self.lifecycle.fail(exc)
        finally:
            self._started.set()

    async def _watch(self, engine: Engine) -> None:
        """Returns never: raises once the engine's thread has died."""
        self._started.set()
        while engine.alive:  # noqa: ASYNC110 - a dead thread sets no event
            await asyncio.sleep(WATCH_SECONDS)
        raise EngineStopped("the engine's thread has died")

    async def _reach_store(self, store: MemoryStore) -> None:
        """Wait for Redis, then make the tenant that the embedded start promises."""
        while True:
            if await store.ping():
                break
            log.warning("waiting for the store")
            await asyncio.sleep(RECONNECT_SECONDS)
        await self._look_for_eviction()
        if self._embedded is not None:
            try:
                await store.create_tenant(DEFAULT_TENANT)
            except CheckpointMismatch:  # a newer checkpoint on an older data folder
                log.warning("memories of another checkpoint: run `larimar reencode`")

    async def _look_for_eviction(self) -> None:
        with contextlib.suppress(*FAILURES):  # a user who may not ask
            if isinstance(self.redis, RedisCluster):
                nodes = self.redis.get_primaries()
                told = [await self.redis.info("memory", target_nodes=node) for node in nodes]
            else:
                told = [await self.redis.info("memory")]
            for policy in {one["maxmemory_policy"] for one in told} - {"noeviction"}:
                log.warning("Redis may evict facts: set it to noeviction", maxmemory_policy=policy)

    async def started(self) -> None:
        """Returns when the start is over, well or not."""
        await self._started.wait()

    async def close(self) -> None:
        """Engine first, Redis last."""
        tasks = [task for task in (self._life, self._sweeping) if task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        self.lifecycle.to("stopped")
        if self._engine is not None:
            await self._engine.close()
        if self._store is not None:
            await self._store.close()
        if hasattr(self, "redis"):
            await self.redis.aclose()
        if self._embedded is not None:
            await asyncio.to_thread(self._embedded.stop)
        await asyncio.to_thread(self.tracing.close)


async def sweep_for_ever(store: MemoryStore, audit: Audit, every: float = SWEEP_SECONDS) -> None:
    """Erase what has expired. Reads leave it out already; this is what frees its rows."""
    while True:
        await asyncio.sleep(every)
        with _survived():
            for tenant in await store.tenants():
                with _survived(tenant=tenant):
                    await _sweep(store, audit, tenant)


async def _sweep(store: MemoryStore, audit: Audit, tenant: str) -> None:
    with contextlib.suppress(CheckpointMismatch):  # a process of its own checkpoint sweeps it
        async for change in store.sweep(tenant):
            ids = [row.id for row in change.results]
            await audit.note("expire", tenant, ids, change.version - 1, change.version)


@contextlib.contextmanager
def _survived(**where: str) -> Iterator[None]:
    """Whatever fails, the store away or a tenant just erased: the next round will do."""
    try:
        yield
    except Exception as exc:
        foreseen = isinstance(exc, StoreError)
        log.warning("sweep", error=type(exc).__name__, exc_info=not foreseen, **where)


def _load_engine(settings: Settings) -> Engine:
    # Imported here: PyTorch takes seconds to import, and a fake engine does without.
    from service.engine.batcher import Larimar

    return Larimar.load(settings)
