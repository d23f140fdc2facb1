"""`python -m training STAGE --data DIR --out DIR`: one stage of the recipe (recipe.md)."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer

from service.model import lora
from service.model.codec import Codec, CodecConfig
from service.model.decoder import Decoder
from service.model.encoder import SentenceEncoder
from service.model.larimar import LarimarModel
from service.model.scope import ScopeGate
from service.model.weights import decoder_path, encoder_path
from training import adapter as adapter_stage
from training import address as address_stage
from training import codec as codec_stage
from training import scope as scope_stage
from training.assemble import assemble
from training.data import load_json, sentences, zsre
from training.tune import tune


def held_out_texts(data: Path, tokenizer: Tokenizer, limit: int) -> dict[str, list[list[int]]]:
    """Token rows of facts that training never sees: 300 of CounterFact, 200 of zsRE, sentences."""
    counterfact = [c["requested_rewrite"] for c in load_json(data / "counterfact/full_dev.json")]
    lines = (data / "text/wikitext2_valid.txt").read_text("utf-8").splitlines()
    texts = {
        "counterfact": [f"{c['prompt'].format(c['subject'])} {c['target_new']['str']}"
                        for c in counterfact[:300]],
        "zsre": [f"{c['src']} {c['alt']}" for c in zsre(data, train=False)],
        "text": sentences(lines[-150:])[:200],
    }  # fmt: skip
    rows = {
        k: [tokenizer.encode(t, add_special_tokens=False).ids for t in v] for k, v in texts.items()
    }
    return {k: [row for row in v if len(row) < limit] for k, v in rows.items()}


def train_codec(args: argparse.Namespace) -> None:
    folder = Path(decoder_path())
    table = load_file(folder / "model.safetensors")["model.embed_tokens.weight"]
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    codec = Codec(CodecConfig(max_tokens=args.tokens), table, end=2)
    codec.initialise()
    texts = codec_stage.Texts(args.data, tokenizer, args.tokens - 1, args.seed)
    held_out = held_out_texts(args.data, tokenizer, args.tokens)
    codec_stage.train(codec, texts, held_out, args.out, args.steps, seed=args.seed)


def held_out_asks(data: Path) -> dict[str, list[tuple[str, str, str]]]:
    """(fact text, prompt, target) of facts that training never sees."""
    cases = load_json(data / "counterfact/full_dev.json")[:96]
    prompts = [(c["requested_rewrite"]["prompt"].format(c["requested_rewrite"]["subject"]),
                c["requested_rewrite"]["target_new"]["str"], c["paraphrase_prompts"][0])
               for c in cases]  # fmt: skip
    questions = zsre(data, train=False)[:96]
    return {
        "counterfact": [(f"{p} {t}", p, t) for p, t, _ in prompts],
        "counterfact_paraphrase": [(f"{p} {t}", q, t) for p, t, q in prompts],
        "zsre_paraphrase": [(f"{c['src']} {c['alt']}", c["rephrase"], c["alt"]) for c in questions],
    }


def train_adapter(args: argparse.Namespace) -> None:
    decoder = Decoder(decoder_path())
    rows = adapter_stage.Rows(args.data, decoder, args.tokens, args.seed)
    adapter_stage.train(
        decoder, rows, held_out_asks(args.data), args.out, args.steps, seed=args.seed
    )


def train_address(args: argparse.Namespace) -> None:
    tokenizer = Tokenizer.from_file(f"{decoder_path()}/tokenizer.json")
    texts = codec_stage.Texts(args.data, tokenizer, args.tokens, args.seed)
    cases = load_json(args.data / "counterfact/full_dev.json")[:400]
    asks = [(c["requested_rewrite"]["prompt"].format(c["requested_rewrite"]["subject"]),
             c["paraphrase_prompts"][0].split(". ")[-1], c["neighborhood_prompts"][:2])
            for c in cases]  # fmt: skip
    address_stage.train(encoder_path(), args.data, texts, asks, args.out, args.steps, args.seed)


def train_scope(args: argparse.Namespace) -> None:
    saved = torch.load(args.out.parent / "address" / "address.pt", weights_only=True)
    address = address_stage.build(encoder_path(), saved["idf"])
    lora.load(address.encoder.adapters, saved["delta"])
    gate = ScopeGate(SentenceEncoder(encoder_path()))
    episodes = scope_stage.Episodes(args.data, address, args.seed)
    scope_stage.train(gate, episodes, args.out, args.steps)


def tune_scope(args: argparse.Namespace) -> None:
    for row in tune(LarimarModel.load(args.out), args.data, args.steps):
        print({name: round(value, 3) for name, value in row.items()})


STAGES = {
    "codec": train_codec,
    "adapter": train_adapter,
    "address": train_address,
    "scope": train_scope,
    "assemble": lambda args: assemble(args.out.parent, args.out, args.threshold, args.seed),
    "tune": tune_scope,  # --out is the checkpoint, --steps how many facts
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stage", choices=sorted(STAGES))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--threshold", type=float, default=0.5, help="of the scope gate")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(args.seed)
    STAGES[args.stage](args)


if __name__ == "__main__":
    main()
