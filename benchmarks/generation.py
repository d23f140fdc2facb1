"""What the engine costs, as ratios taken in one run: the service over HTTP beside transformers.

`python -m benchmarks.generation [--peer PYTHON] [PART ...]` prints and writes
benchmarks/results/generation_<part>.json; parts are speed, conditioned, first_token, overhead and
writes.
The yardstick is transformers' own `generate()` in this process, on the service's device and in its
type (float32 on a CPU, bfloat16 on a GPU), on the prompts and lengths of the service's clients; the
service is a process of its own with an embedded Valkey. No token ends a row on either side
(endless_service.py). `--peer` names a Python that has llama-cpp-python (scripts/peer installs one).
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import torch

from benchmarks.report import write_results
from benchmarks.serving import served
from memory_store.store import Fact
from memory_store.view import View, build_view
from service.engine.decoding import DecodeBatch, Row
from service.engine.protocol import Sampling
from service.model.larimar import LarimarModel, fact_text
from service.model.weights import DECODER, fetched

TENANTS = 16
TOKENS = 64
BULK = 1000
CUES = [f"The owner of the {name} service is" for name in (
    "billing", "search", "login", "mail", "payments", "shipping", "catalogue", "pricing", "refunds",
    "invoice", "audit", "reporting", "metrics", "storage", "backup", "gateway")]  # fmt: skip
TARGETS = [f"{name} Nakamura" for name in (
    "Priya", "Ada", "Tom", "Lena", "Omar", "Ivy", "Hugo", "Mina", "Paul", "Rosa", "Karl", "Nora",
    "Luis", "Eva", "Sven", "Aiko")]  # fmt: skip
Client = httpx.AsyncClient


def seconds(work: Callable[[], object], repeat: int) -> float:
    """The best of several, after one that warms up."""
    work()
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


async def awaited(work: Callable[[], Awaitable[object]], repeat: int) -> list[float]:
    """Seconds of each repetition, after one that warms up."""
    await work()
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        await work()
        times.append(time.perf_counter() - start)
    return times


def generated(model: LarimarModel, prompts: list[str]) -> None:
    """The yardstick: transformers' generate(), the adapter's gates off, one ready-made batch."""
    tokenizer = model.decoder.tokenizer
    tokenizer.padding_side = "left"
    batch = tokenizer(prompts, return_tensors="pt", padding=True, add_special_tokens=False)
    batch = batch.to(model.decoder.device)
    with torch.inference_mode():
        model.decoder.model.generate(
            batch["input_ids"], attention_mask=batch["attention_mask"], do_sample=False,
            max_new_tokens=TOKENS, min_new_tokens=TOKENS, pad_token_id=model.decoder.end,
        ).cpu()  # fmt: skip


async def ask(client: Client, n: int, memory: str = "auto", tokens: int = TOKENS) -> dict[str, Any]:
    """Tenant n's cue, continued."""
    body = {"prompt": CUES[n], "max_new_tokens": tokens, "memory": memory}
    reply = await client.post(f"/v1/tenants/t{n}/generate", json=body)
    reply.raise_for_status()
    result: dict[str, Any] = reply.json()["results"][0]
    assert result["usage"]["completion_tokens"] == tokens
    assert result["in_scope"] is (memory == "auto")
    return result


async def together(client: Client, memory: str = "auto") -> None:
    await asyncio.gather(*(ask(client, n, memory) for n in range(TENANTS)))


async def speed(model: LarimarModel, client: Client) -> dict[str, Any]:
    """One client without memory, and 16 of 16 tenants with it, beside generate()."""
    alone = TOKENS / seconds(lambda: generated(model, CUES[:1]), 3)
    batch = TENANTS * TOKENS / seconds(lambda: generated(model, CUES), 2)
    one = TOKENS / min(await awaited(lambda: ask(client, 0, "never"), 5))
    many = TENANTS * TOKENS / min(await awaited(lambda: together(client), 4))
    return {
        "generate, one at a time, tokens/s": alone,
        "generate, batch of 16, tokens/s": batch,
        "one client, tokens/s": one,
        "16 clients, conditioned, tokens/s": many,
        "one client / generate alone (bar 2)": one / alone,
        "16 clients / generate's batch (bar 1)": many / batch,
        "16 clients / generate alone (bar 6)": many / alone,
    }


async def conditioned(model: LarimarModel, client: Client) -> dict[str, Any]:
    """The same prompts with memory and without, in turn."""
    times: dict[str, list[float]] = {"auto": [], "never": []}
    for _ in range(4):
        for memory, found in times.items():
            found += await awaited(lambda memory=memory: ask(client, 0, memory), 2)  # type: ignore[misc]
    crowd = {memory: min(await awaited(lambda memory=memory: together(client, memory), 2))  # type: ignore[misc]
             for memory in ("auto", "never")}  # fmt: skip
    with_memory, without = (statistics.median(times[memory]) for memory in ("auto", "never"))
    return {
        "conditioned / unconditioned, one client (bar 1.15)": with_memory / without,
        "conditioned / unconditioned, 16 clients (bar 1.15)": crowd["auto"] / crowd["never"],
    }


async def first_token(model: LarimarModel, client: Client) -> dict[str, Any]:
    """Time to the first token of a new request, alone and while 15 others decode."""
    out: dict[str, Any] = {}
    words = "Some of what the owners said about their services in the meeting of last week . "
    for length in (16, 64, 256):
        prompt = model.decoder.decode(model.decoder.encode(words * 20)[:length])
        alone = [await first(client, prompt) for _ in range(6)][1:]
        busy, steps = [], []
        for _ in range(5):
            found, step = await first_in_a_crowd(client, prompt)
            busy.append(found)
            steps.append(step)
        own, step = statistics.median(alone), statistics.median(steps)
        out[f"{length} tokens"] = {
            "alone, ms": 1000 * own,
            "decode step of 15 rows, ms": 1000 * step,
            "while 15 decode, ms": 1000 * statistics.median(busy),
            "/ (alone + 2 steps) (bar 1)": statistics.median(busy) / (own + 2 * step),
        }
    return out


async def first(client: Client, prompt: str) -> float:
    body = {"prompt": prompt, "max_new_tokens": 2, "stream": True}
    start = time.perf_counter()
    async with client.stream("POST", "/v1/tenants/t0/generate", json=body) as reply:
        async for line in reply.aiter_lines():
            if line.startswith("event: token"):
                return time.perf_counter() - start
    raise RuntimeError("no token came")


async def first_in_a_crowd(client: Client, prompt: str) -> tuple[float, float]:
    """Seconds to the first token, and of a step of the 15 rows before it came."""
    body = {"prompt": CUES[:15], "max_new_tokens": 200, "stream": True, "memory": "never"}
    arrivals: list[float] = []
    async with client.stream("POST", "/v1/tenants/t1/generate", json=body) as reply:
        lines = reply.aiter_lines()
        async for line in lines:
            if '"index": 0' in line:
                arrivals.append(time.perf_counter())
            if len(arrivals) == 20:
                break
        await asyncio.sleep(0.5 * (arrivals[-1] - arrivals[-2]))  # not at a step's boundary
        found = await first(client, prompt)
    gaps = [b - a for a, b in itertools.pairwise(arrivals)]
    return found, statistics.median(gaps)


async def overhead(model: LarimarModel, client: Client) -> dict[str, Any]:
    """HTTP and scheduling: a request, against the same reading and decoding called directly."""
    memory = remembered(model)
    batch = DecodeBatch(model.decoder, slots=TENANTS)

    def direct() -> None:
        (reading,) = model.read(CUES[:1], [memory], [False])
        ids = model.decoder.conditioned(reading.tokens, model.decoder.encode(CUES[0]))
        row = Row(ids, True, Sampling(), TOKENS)
        batch.join(row)
        while len(row.generated) < TOKENS:
            batch.step()
        batch.leave(row)

    ours, over_http = [], []
    for _ in range(4):
        ours.append(seconds(direct, 2))
        over_http += await awaited(lambda: ask(client, 0), 2)
    return {
        "direct, ms": 1000 * min(ours),
        "over HTTP, ms": 1000 * min(over_http),
        "share of HTTP and scheduling (bar 0.10)": 1 - min(ours) / min(over_http),
    }


def remembered(model: LarimarModel) -> View:
    addresses = model.address.encode(CUES[:1]).numpy()
    latents = model.latents([fact_text(CUES[0], TARGETS[0], None)]).numpy()
    return build_view([Fact(CUES[0], addresses[0], latents[0], id="0")], model.spec)


async def writes(model: LarimarModel, client: Client) -> dict[str, Any]:
    """Durable writes over HTTP, against the encoders' own forward passes."""
    numbers = iter(range(10_000_000))

    def facts(count: int) -> list[dict[str, str]]:
        return [{"prompt": f"The owner of service {next(numbers)} is", "target": "Priya Nakamura"}
                for _ in range(count)]  # fmt: skip

    def encoded(given: list[dict[str, str]]) -> None:
        model.address.encode([fact["prompt"] for fact in given])
        model.latents([fact_text(fact["prompt"], fact["target"], None) for fact in given])

    async def write(count: int) -> None:
        reply = await client.post("/v1/tenants/t2/write", json={"facts": facts(count)})
        reply.raise_for_status()

    forward, single = [], []
    for _ in range(5):
        given = facts(1)
        forward.append(seconds(lambda given=given: encoded(given), 5))  # type: ignore[misc]
        single += await awaited(lambda: write(1), 5)
    many = facts(BULK)
    own = seconds(lambda: encoded(many), 1)
    bulk = min(await awaited(lambda: write(BULK), 2))
    return {
        "encoders, one fact, ms": 1000 * statistics.median(forward),
        "one durable write, ms": 1000 * statistics.median(single),
        "write / encoders (bar 3)": statistics.median(single) / statistics.median(forward),
        "encoders, facts/s": BULK / own,
        "bulk writes, facts/s": BULK / bulk,
        "bulk / encoders (bar 0.6)": own / bulk,
    }


def peer(model: LarimarModel, python: str) -> dict[str, Any]:
    """llama.cpp's tokens/s for the same prompts."""
    request = {"prompts": [model.decoder.encode(cue) for cue in CUES], "tokens": TOKENS,
               "threads": torch.get_num_threads()}  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        gguf = fetched(DECODER, Path(folder))
        script = Path(__file__).with_name("peer_llama_cpp.py")
        done = subprocess.run([python, str(script), str(gguf)], input=json.dumps(request),  # noqa: S603
                              capture_output=True, text=True, check=True)  # fmt: skip
    reply: dict[str, Any] = json.loads(done.stdout)
    text = model.decoder.decode(reply.pop("tokens"))
    return {"version": reply["version"], "one client, tokens/s": reply["one"],
            "16 clients, tokens/s": reply["all"], "says": text}  # fmt: skip


PARTS = {part.__name__: part for part in (speed, conditioned, first_token, overhead, writes)}


async def measure(parts: list[str], python: str | None) -> None:
    """Each part into a file of its own; the peer's figures stand beside ours of the same run."""
    model = LarimarModel.load()
    with tempfile.TemporaryDirectory() as folder, served(Path(folder)) as (url, key):
        headers = {"Authorization": f"Bearer {key}"}
        async with Client(base_url=url, headers=headers, timeout=300) as client:
            await remember(client)
            for name in parts:
                results = {"threads": torch.get_num_threads()} | await PARTS[name](model, client)
                if name == "speed" and python:
                    results["llama.cpp"] = peer(model, python)
                write_results(f"generation_{name}", rounded(results), model.decoder.device.type)


async def remember(client: Client) -> None:
    """16 tenants with a fact each."""
    for n in range(TENANTS):
        (await client.put(f"/v1/tenants/t{n}")).raise_for_status()
        body = {"facts": [{"prompt": CUES[n], "target": TARGETS[n]}]}
        (await client.post(f"/v1/tenants/t{n}/write", json=body)).raise_for_status()


def rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: rounded(one) for key, one in value.items()}
    return float(f"{value:.3g}") if isinstance(value, float) else value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", default=list(PARTS))
    parser.add_argument("--peer", metavar="PYTHON")
    given = parser.parse_args()
    if unknown := set(given.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    asyncio.run(measure(given.parts, given.peer))


if __name__ == "__main__":
    main()
