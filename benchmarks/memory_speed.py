"""What the memory costs, as ratios taken in one run.

`python -m benchmarks.memory_speed [update] [read] [bytes] [load]` prints and writes
benchmarks/results/memory_speed_<name>.json; updates are measured on a GPU as well where there is
one. Times are the best of several; LOG.md tells what was learned from them.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch

from benchmarks.memory_facts import SPEC, made
from benchmarks.report import ROOT, write_results
from memory_store.embedded import EmbeddedValkey
from memory_store.pages import K, Layout, unit_keys
from memory_store.redis_store import RedisStore, connect
from memory_store.scripts import page_key
from memory_store.store import ChangeRequest, ReadParams
from memory_store.update import library, update_in_torch, update_many
from memory_store.view import LOCAL, CachedPage, View

PLOT = ROOT / "docs" / "read-cost.png"


def best(*rivals: Callable[[], object], repeat: int = 5) -> list[float]:
    """Milliseconds of each. They take turns, so that other work on the machine meets all alike."""
    times: list[list[float]] = [[] for _ in rivals]
    for _ in range(repeat + 1):
        for work, taken in zip(rivals, times, strict=True):
            start = time.perf_counter()
            work()
            if torch.cuda.is_available():  # whose work is only queued
                torch.cuda.synchronize()
            taken.append(time.perf_counter() - start)
    return [1000 * min(taken[1:]) for taken in times]  # the first warms up


def update(device: str = "cpu") -> dict[str, Any]:
    """`fixed`, 8 facts a tenant, K = 512, C = 1,024: all tenants at once, against the same maths in
    PyTorch for one tenant after the other (`loop`), the call itself for one tenant after the other
    (`each`), and solving Λ⁻¹B anew."""
    updates = [update_of(tenants, device) for tenants in (1, 2, 4, 8, 16, 64)]
    return {"compiled": device == "cpu" and library() is not None, "updates": updates}


def update_of(tenants: int, device: str) -> dict[str, Any]:
    g = torch.Generator().manual_seed(0)
    w = torch.randn(tenants, 8, K, generator=g, dtype=torch.float64) / K**0.5
    z = torch.randn(tenants, 8, SPEC.latent_dim, generator=g, dtype=torch.float64)
    alpha = torch.ones(tenants, 8, dtype=torch.float64)
    before = torch.randn(K, K, generator=g, dtype=torch.float64)
    gram = torch.eye(K, dtype=torch.float64) + before.T @ before / K
    cross = torch.randn(K, SPEC.latent_dim, generator=g, dtype=torch.float64)
    w, z, alpha, gram, cross = (x.to(device) for x in (w, z, alpha, gram, cross))
    inverse, memory = torch.linalg.inv(gram), torch.linalg.solve(gram, cross)
    batch = (inverse.repeat(tenants, 1, 1), memory.repeat(tenants, 1, 1), w, z, alpha)

    def loop() -> None:
        for i in range(tenants):
            update_in_torch(*(x[i : i + 1] for x in batch))

    def each() -> None:
        for i in range(tenants):
            update_many(*(x[i : i + 1] for x in batch))

    def anew() -> None:
        for i in range(tenants):
            factor = torch.linalg.cholesky(gram + w[i].T @ w[i])
            torch.cholesky_solve(cross + w[i].T @ z[i], factor)

    repeat = max(5, 100 // tenants)
    batched_ms, loop_ms, each_ms = best(lambda: update_many(*batch), loop, each, repeat=repeat)
    batched_again_ms, anew_ms = best(lambda: update_many(*batch), anew, repeat=2)
    return {
        "tenants": tenants,
        "batched_ms": round(batched_ms, 2),
        "loop_ms": round(loop_ms, 2),
        "each_ms": round(each_ms, 2),
        "anew_ms": round(anew_ms, 2),
        "loop/batched": round(loop_ms / batched_ms, 2),
        "each/batched": round(each_ms / batched_ms, 2),
        "anew/batched": round(anew_ms / batched_again_ms, 2),
    }


def tenant_of(n: int) -> View:
    """n random facts of the shape that ships, straight into pages."""
    layout, rng = Layout(SPEC), np.random.default_rng(0)
    latents, pages = rng.standard_normal((K, SPEC.latent_dim)), []
    for first in range(0, n, K):
        rows = layout.empty()
        count = min(K, n - first)
        keys = rng.standard_normal((count, SPEC.address_dim), dtype=np.float32)
        rows["key"][:count] = keys / np.linalg.norm(keys, axis=1, keepdims=True)
        rows["latent"][:count] = latents[:count]
        rows["state"][:count], rows["id"][:count] = 1, b"fact"
        rows["stamp"][:count] = np.arange(first, first + count)
        pages.append(CachedPage(rows))
    return View(LOCAL, SPEC, ReadParams(floor=-1), tuple(pages))


def read() -> dict[str, Any]:
    """One query, and 64, against one float32 matrix-vector product over the same addresses."""
    return {"reads": [read_of(n) for n in (1_000, 10_000, 100_000, 1_000_000)]}


def read_of(n: int) -> dict[str, Any]:
    view = tenant_of(n)
    keys = torch.cat([torch.from_numpy(unit_keys(page.rows)) for page in view.pages])[:n]
    queries = keys[torch.randperm(n)[:64]].numpy()
    query = torch.from_numpy(queries[0])
    mv_ms, one_ms = best(lambda: torch.mv(keys, query), lambda: view.read(queries[:1]), repeat=9)

    def one_by_one() -> None:
        for i in range(64):
            view.read(queries[i : i + 1])

    each_ms, many_ms = best(one_by_one, lambda: view.read(queries), repeat=15)
    return {
        "facts": n,
        "mv_ms": round(mv_ms, 2),
        "read_1_ms": round(one_ms, 2),
        "one_by_one_64_ms": round(each_ms, 2),
        "read_64_ms": round(many_ms, 2),
        "read_1/mv": round(one_ms / mv_ms, 2),
        "one_by_one_64/read_64": round(each_ms / many_ms, 2),
    }


def draw(reads: Sequence[dict[str, Any]]) -> None:
    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    facts = [row["facts"] for row in reads]
    for name, label, times in (
        ("mv_ms", "one float32 product with all addresses", 1),
        ("read_1_ms", "one read", 1),
        ("read_64_ms", "a read, of 64 in one batch", 64),
    ):
        axes.loglog(facts, [row[name] / times for row in reads], marker="o", label=label)
    axes.set(xlabel="facts of the tenant", ylabel="milliseconds a query")
    axes.grid(alpha=0.3, which="both")
    axes.legend(fontsize=8)
    figure.savefig(PLOT, dpi=80, metadata={"Software": None})
    plt.close(figure)


async def sent_bytes(url: str) -> dict[str, Any]:
    """Bytes that Redis receives per written fact, one a call and 100 a call, by how many facts the
    tenant's page of 512 holds before; at the end a full page whose facts are replaced."""
    client, row = connect(url), Layout(SPEC).row_size
    store = RedisStore(client, SPEC)
    bound, found = 1.2 * row + 1024, dict[str, Any]()
    await store.create_tenant("first")
    await store.write("first", [made(0)], ChangeRequest("first"))  # which sends the scripts
    for held in (0, K // 2, K - 20, K):
        each = {}
        for size, calls in ((1, 20), (100, 2)):
            tenant = f"bytes-{held}-{size}"
            await store.create_tenant(tenant)
            if held:
                await store.write(tenant, [made(n) for n in range(held)], ChangeRequest("first"))
            before = (await client.info("stats"))["total_net_input_bytes"]
            for start in range(held % K, held % K + size * calls, size):
                facts = [made(n, 1) for n in range(start, start + size)]
                await store.write(tenant, facts, ChangeRequest(f"{start}"))
            sent = (await client.info("stats"))["total_net_input_bytes"] - before
            each[f"{size} a call"] = round(sent / (calls * size))
        name = "replaced" if held == K else f"page of {held}"
        found[name] = each | {"largest / bound": round(max(each.values()) / bound, 2)}
    await store.close()
    return {"row": row, "bound: 1.2 row + 1 KB": round(bound), "bytes per fact": found}


async def cold_load(url: str) -> dict[str, Any]:
    """A full page of 512 facts into a store that has never seen it, against GET of its bytes."""
    client = connect(url)
    store = RedisStore(client, SPEC)
    await store.create_tenant("load")
    await store.write("load", [made(n) for n in range(512)], ChangeRequest("first"))
    epoch = (await store.tenant("load")).epoch
    got, loaded = [], []
    for _ in range(15):
        fresh = RedisStore(client, SPEC)
        await fresh.ping()
        start = time.perf_counter()
        await client.get(page_key("load", epoch, 0))
        got.append(time.perf_counter() - start)
        start = time.perf_counter()
        await fresh.memory("load")
        loaded.append(time.perf_counter() - start)
    await store.close()
    get_ms, load_ms = 1000 * min(got), 1000 * min(loaded)
    times = {"get_ms": get_ms, "load_ms": load_ms, "load/get": load_ms / get_ms}
    return {"cold load": {k: round(v, 2) for k, v in times.items()}}


def main() -> None:
    wanted = sys.argv[1:] or ["update", "read", "bytes", "load"]
    load = {"threads": torch.get_num_threads()}
    if "update" in wanted:
        write_results("memory_speed_update", load | update())
        if torch.cuda.is_available():
            write_results("memory_speed_update", load | update("cuda"), "cuda")
    if "read" in wanted:
        reads = read()
        write_results("memory_speed_read", load | reads)
        draw(reads["reads"])
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedValkey(Path(folder))
        url = server.start()
        try:
            if "bytes" in wanted:
                write_results("memory_speed_bytes", load | asyncio.run(sent_bytes(url)))
            if "load" in wanted:
                write_results("memory_speed_load", load | asyncio.run(cold_load(url)))
        finally:
            server.stop()


if __name__ == "__main__":
    main()
