"""The shapes of requests and replies: what openapi.json says is what is checked.

Requests forbid unknown fields and coercion, so that a typing error is an error. Texts are
checked once, here: not blank, no NUL, nothing that UTF-8 cannot carry.
"""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Literal
from unicodedata import combining

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    WithJsonSchema,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from service.auth import TENANT_PATTERN
from service.engine.protocol import MemoryMode

MAX_FACTS = 1000
MAX_PROMPTS = 64
MAX_FACT_CHARS = 8192  # no fact of so many characters fits T tokens
MAX_PROMPT_CHARS = 131_072
MAX_METADATA_BYTES = 4096
MAX_COMBINING = 30  # combining marks in a row, as in Unicode's stream-safe text (UAX 15, 13)
MAX_TTL = 100 * 366 * 86400.0
ID_PATTERN = r"^[A-Za-z0-9._:-]{1,128}$"

UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
# Orders of display that are not the order of the letters: what a person reads in a list of facts
# would not be what the model reads. (Unicode Technical Report 36, 3.3; CVE-2021-42574)
BIDI = re.compile("[\u202a-\u202e\u2066-\u2069]")


def storable(text: str) -> str:
    """Refuse what neither a store nor a tokenizer should see."""
    if not text.strip():
        raise PydanticCustomError("blank_text", "must not be blank")
    if UNSTORABLE.search(text):
        raise PydanticCustomError("text_not_storable", "must not hold NUL or lone surrogates")
    if not text.isascii() and _piles_up(text):
        reason = f"must not hold more than {MAX_COMBINING} combining marks in a row"
        raise PydanticCustomError("text_not_storable", reason)
    return text


def _piles_up(text: str) -> bool:
    """Normalisation takes quadratic time over long runs of marks."""
    run = 0
    for character in text:
        run = run + 1 if combining(character) else 0
        if run > MAX_COMBINING:
            return True
    return False


def _readable(text: str) -> str:
    if BIDI.search(text):
        raise PydanticCustomError(
            "text_not_storable", "must not hold bidirectional embeddings, overrides or isolates"
        )
    return text


def _fact_length(text: str) -> str:
    if len(text) > MAX_FACT_CHARS:
        raise PydanticCustomError("fact_too_long", "is too long for a fact: use documents")
    return text


def _prompt_length(text: str) -> str:
    if len(text) > MAX_PROMPT_CHARS:
        raise PydanticCustomError("prompt_too_long", "is too long for a prompt")
    return text


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _small(metadata: dict[str, JsonValue]) -> dict[str, JsonValue]:
    try:
        size = len(json.dumps(metadata, allow_nan=False, ensure_ascii=False).encode())
    except ValueError:
        raise PydanticCustomError("text_not_storable", "must be plain JSON") from None
    if size > MAX_METADATA_BYTES:
        raise ValueError(f"must be at most {MAX_METADATA_BYTES} bytes as JSON")
    return metadata


def _string_or_list(most: int) -> WithJsonSchema:
    text = {"type": "string", "pattern": r"\S"}
    array = {"type": "array", "items": text, "minItems": 1, "maxItems": most}
    return WithJsonSchema({"anyOf": [text, array]})


def _described(most: int) -> FieldInfo:
    """What `storable` and the length checks ask, in the words of JSON Schema."""
    described: FieldInfo = Field(json_schema_extra={"pattern": r"\S", "maxLength": most})
    return described


FactText = Annotated[
    str,
    AfterValidator(_fact_length),
    AfterValidator(storable),
    AfterValidator(_readable),
    _described(MAX_FACT_CHARS),
]
PromptText = Annotated[
    str, AfterValidator(_prompt_length), AfterValidator(storable), _described(MAX_PROMPT_CHARS)
]
StopText = Annotated[str, Field(min_length=1, max_length=256)]
FactId = Annotated[str, Field(pattern=ID_PATTERN)]
Metadata = Annotated[dict[str, JsonValue], AfterValidator(_small)]
TenantName = Annotated[str, Field(pattern=TENANT_PATTERN)]
Seconds = Annotated[float, Field(description="Seconds since the epoch.")]
Version = Annotated[int, Field(description="The memory's version: grows with every change.")]
Stale = Annotated[
    bool, Field(description="True while the store is away and the reply comes from a cache.")
]


class Body(BaseModel):
    """Base of requests."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class Reply(BaseModel):
    """Base of replies."""

    model_config = ConfigDict(frozen=True)


# --- errors -----------------------------------------------------------------------------------


class ErrorDetail(Reply):
    param: str | None
    code: str
    message: str


class ErrorBody(Reply):
    code: Annotated[str, Field(description="Stable: what programs branch on.")]
    message: str
    type: str
    param: Annotated[str | None, Field(description="The field at fault: `facts[17].text`.")]
    request_id: str
    details: list[ErrorDetail] = []


class ErrorReply(Reply):
    error: ErrorBody


# --- memory -----------------------------------------------------------------------------------


class FactIn(Body):
    """`prompt` and `target`, or `text` alone."""

    prompt: Annotated[FactText | None, Field(examples=["The capital of France is"])] = None
    target: Annotated[FactText | None, Field(examples=["Lyon"])] = None
    text: FactText | None = None
    id: FactId | None = None
    ttl_seconds: Annotated[float, Field(gt=0, le=MAX_TTL)] | None = None
    metadata: Metadata = {}

    @model_validator(mode="after")
    def _one_form(self) -> FactIn:
        pair = self.prompt is not None and self.target is not None
        neither = self.prompt is None and self.target is None
        if not (pair if self.text is None else neither):
            raise ValueError("give `text` alone, or `prompt` and `target`")
        return self


class WriteRequest(Body):
    facts: Annotated[list[FactIn], Field(min_length=1, max_length=MAX_FACTS)]
    expected_version: Annotated[int, Field(ge=0)] | None = None


class WriteResult(Reply):
    id: str
    status: Literal["written", "replaced"]
    replaced_id: str | None = None


class WriteReply(Reply):
    version: Version
    results: list[WriteResult]


class ForgetRequest(Body):
    """Facts by id, or by the cue that they were written with; ids first in the reply."""

    ids: Annotated[list[FactId], Field(max_length=MAX_FACTS)] = []
    prompts: Annotated[list[FactText], Field(max_length=MAX_FACTS)] = []
    mode: Literal["erase", "suppress"] = "erase"

    @model_validator(mode="after")
    def _some(self) -> ForgetRequest:
        if not 1 <= len(self.ids) + len(self.prompts) <= MAX_FACTS:
            raise ValueError(f"name 1 to {MAX_FACTS} facts by `ids` or `prompts`")
        return self


class ForgetResult(Reply):
    id: str
    status: Literal["erased", "suppressed", "not_found"]
    confidence_before: Annotated[
        float | None, Field(description="Of an erased fact's cue: that it asks for a stored fact.")
    ] = None
    confidence_after: float | None = None


class ReceiptOut(Reply):
    """Proof of an erasure; `larimar verify-receipt` checks it with the public key alone."""

    payload: Annotated[str, Field(description="JSON: tenant, ids, versions, time.")]
    signature: Annotated[str, Field(description="Ed25519 over the payload's bytes, base64.")]
    key_id: str


class ForgetReply(Reply):
    version: Version
    results: list[ForgetResult]
    receipt: ReceiptOut | None = None


class ReadRequest(Body):
    queries: Annotated[list[PromptText], Field(min_length=1, max_length=MAX_PROMPTS)]
    top_k: Annotated[int, Field(ge=1, le=64)] = 5


class MatchOut(Reply):
    id: str
    weight: Annotated[float, Field(description="Of the row in what was read out; may be negative.")]
    similarity: Annotated[float, Field(description="Cosine of the query and the row, -1 to 1.")]
    text: str | None = None


class ReadResultOut(Reply):
    in_scope: bool
    confidence: Annotated[float, Field(description="That the query asks for a stored fact.")]
    text: Annotated[str, Field(description="Decoded from the latent, never looked up.")]
    matches: list[MatchOut]


class ReadReply(Reply):
    version: Version
    stale: Stale
    results: list[ReadResultOut]


class FactOut(Reply):
    id: str
    kind: Literal["fact", "suppression", "chunk"]
    prompt: str | None = None
    target: str | None = None
    text: str | None = None
    document_id: str | None = None
    metadata: dict[str, Any]
    created_at: Seconds
    expires_at: Seconds | None


class FactsReply(Reply):
    facts: list[FactOut]
    next_cursor: Annotated[str | None, Field(description="Null on the last page.")]


# --- documents --------------------------------------------------------------------------------


class DocumentRequest(Body):
    text: Annotated[str, AfterValidator(storable), AfterValidator(_readable)]
    id: FactId | None = None


class DocumentReply(Reply):
    id: str
    status: Literal["partial", "complete"]
    chunks: int
    chunks_done: int
    version: Version


class DocumentOut(Reply):
    id: str
    status: Literal["partial", "complete"]
    chunks: int
    chunks_done: int
    created_at: Seconds


class DocumentsReply(Reply):
    documents: list[DocumentOut]


class DocumentErased(Reply):
    id: str
    status: Literal["erased"]
    chunks: int
    version: Version
    receipt: ReceiptOut | None = None


# --- generation -------------------------------------------------------------------------------

Prompts = Annotated[
    list[PromptText],
    Field(min_length=1, max_length=MAX_PROMPTS),
    BeforeValidator(_as_list),
    _string_or_list(MAX_PROMPTS),
]
Stops = Annotated[
    list[StopText], Field(max_length=16), BeforeValidator(_as_list), _string_or_list(16)
]


class GenerateRequest(Body):
    prompt: Annotated[Prompts, Field(examples=["The capital of France is"])]
    max_new_tokens: Annotated[int, Field(ge=1, le=4096)] = 32
    temperature: Annotated[float, Field(ge=0, le=2, description="0 is greedy.")] = 0.0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    top_k: Annotated[int, Field(ge=0, le=1000, description="0 keeps all.")] = 0
    stop: Stops = []
    seed: Annotated[int, Field(ge=0, lt=1 << 63)] | None = None
    stream: bool = False
    memory: MemoryMode = "auto"


class Usage(Reply):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class GenerateResult(Reply):
    text: str
    in_scope: bool
    confidence: float
    fact_ids: list[str]
    finish_reason: Literal["stop", "length"]
    usage: Usage


class GenerateReply(Reply):
    version: Version
    stale: Stale
    results: list[GenerateResult]


class ScoreItemIn(Body):
    prompt: PromptText
    targets: Annotated[list[FactText], Field(min_length=1, max_length=64)]


class ScoreRequest(Body):
    items: Annotated[list[ScoreItemIn], Field(min_length=1, max_length=MAX_PROMPTS)]
    memory: MemoryMode = "auto"


class TargetOut(Reply):
    target: str
    logprob: Annotated[float, Field(description="Sum over the tokens, natural logarithm.")]
    tokens: list[str]
    token_logprobs: list[float]


class ScoreResult(Reply):
    in_scope: bool
    targets: list[TargetOut]


class ScoreReply(Reply):
    version: Version
    stale: Stale
    results: list[ScoreResult]
