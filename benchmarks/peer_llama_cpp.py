"""llama.cpp on the same GGUF and prompts, for benchmarks/generation.py.

Runs under a Python that has llama-cpp-python, which compiles llama.cpp and is no dependency of
ours: `PYTHON benchmarks/peer_llama_cpp.py MODEL.gguf < request.json`. The request holds prompts as
token ids, tokens to generate and threads; the reply, tokens/s one sequence at a time and all
sequences in one batch, as llama.cpp's server decodes its slots.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import llama_cpp  # type: ignore[import-not-found, unused-ignore]
import numpy as np


class Peer:
    """A context with a sequence for each prompt."""

    def __init__(self, path: str, sequences: int, threads: int) -> None:
        llama_cpp.llama_backend_init()
        model = llama_cpp.llama_model_load_from_file(
            path.encode(), llama_cpp.llama_model_default_params()
        )
        params: Any = llama_cpp.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_seq_max = 256 * sequences, 2048, sequences
        params.n_threads = params.n_threads_batch = threads
        self.context = llama_cpp.llama_init_from_model(model, params)
        self.vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))
        self.batch = llama_cpp.llama_batch_init(2048, 0, sequences)

    def step(self, tokens: list[tuple[int, int, int, bool]]) -> list[int]:
        """(token, position, sequence, wanted) → the best next token of each wanted one."""
        batch = self.batch
        batch.n_tokens = len(tokens)
        for i, (token, position, sequence, wanted) in enumerate(tokens):
            batch.token[i], batch.pos[i], batch.logits[i] = token, position, wanted
            batch.n_seq_id[i], batch.seq_id[i][0] = 1, sequence
        if llama_cpp.llama_decode(self.context, batch):
            raise RuntimeError("llama_decode failed")
        rows = [llama_cpp.llama_get_logits_ith(self.context, i)
                for i, (*_, wanted) in enumerate(tokens) if wanted]  # fmt: skip
        return [int(np.ctypeslib.as_array(row, (self.vocabulary,)).argmax()) for row in rows]

    def generate(self, prompts: list[list[int]], count: int) -> list[list[int]]:
        """Greedy, `count` tokens a prompt, all prompts in one batch."""
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self.context), True)
        first = [(token, i, s, i == len(prompt) - 1)
                 for s, prompt in enumerate(prompts) for i, token in enumerate(prompt)]  # fmt: skip
        out = [[token] for token in self.step(first)]
        for n in range(count - 1):
            newest = [(row[-1], len(prompts[s]) + n, s, True) for s, row in enumerate(out)]
            for row, token in zip(out, self.step(newest), strict=True):
                row.append(token)
        return out


def main() -> None:
    request = json.load(sys.stdin)
    prompts, count = request["prompts"], int(request["tokens"])
    peer = Peer(sys.argv[1], len(prompts), request["threads"])

    def rate(prompts: list[list[int]]) -> float:
        start = time.perf_counter()
        peer.generate(prompts, count)
        elapsed = time.perf_counter() - start
        return len(prompts) * count / elapsed

    reply = {
        "version": llama_cpp.__version__,
        "one": max(rate(prompts[:1]) for _ in range(4)),
        "all": max(rate(prompts) for _ in range(3)),
        "tokens": peer.generate(prompts[:1], count)[0],
    }
    print(json.dumps(reply))


if __name__ == "__main__":
    main()
