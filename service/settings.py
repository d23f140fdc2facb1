"""Everything that can be set: by `LARIMAR_…` in the environment, by a file, by secret files.

The environment wins over the secret files of LARIMAR_SECRETS_DIR (one a setting, named like its
variable in lower case), and they win over the TOML file that LARIMAR_CONFIG_FILE names.
A wrong setting stops the start: `load()` turns pydantic's report into one line a person can act
on. Secrets are `SecretStr`, so that neither a log nor `larimar config` shows them.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

MIN_ADMIN_KEY = 16  # characters; fewer could be guessed
# What is read elsewhere: here, by weights.py and by the command line.
OTHER_VARIABLES = {
    *("LARIMAR_CONFIG_FILE", "LARIMAR_SECRETS_DIR", "LARIMAR_CACHE_DIR"),
    *("LARIMAR_URL", "LARIMAR_KEY", "LARIMAR_TENANT"),
}


class SettingsError(Exception):
    """A setting is wrong; the text is one line that names it."""


class Settings(BaseSettings):
    """Settings of one service process. Sizes in bytes, times in seconds."""

    model_config = SettingsConfigDict(
        env_prefix="LARIMAR_",
        extra="forbid",
        frozen=True,
        env_ignore_empty=True,
        use_attribute_docstrings=True,  # docs/reference/configuration.md is made of them
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Where settings come from, the strongest first."""
        sources = [init_settings, env_settings]
        if folder := os.environ.get("LARIMAR_SECRETS_DIR"):
            sources.append(SecretsSettingsSource(settings_cls, secrets_dir=_there(folder)))
        if file := os.environ.get("LARIMAR_CONFIG_FILE"):
            sources.append(TomlConfigSettingsSource(settings_cls, toml_file=_there(file)))
        return tuple(sources)

    host: str = "127.0.0.1"
    """Address to listen on; `0.0.0.0` is every IPv4 address of the machine."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    """Port to listen on; 0 is one that is free."""
    data_dir: Path = Path("~/.local/share/larimar")
    """Folder of the embedded Valkey, the first key and the key that signs receipts."""

    # The store
    embedded: bool = True
    """Start a Valkey of its own where `LARIMAR_REDIS_URL` is not set."""
    redis_url: SecretStr | None = None
    """Redis or Valkey to use: `redis://`, `rediss://` (TLS) or `unix://`, password included."""
    redis_cluster: bool = False
    """The URL is that of a Redis Cluster."""
    durability: Annotated[str, Field(pattern=r"^(local|replicated:[1-9][0-9]?)$")] = "local"
    """What a change waits for: the primary's disk, or `replicated:N` replicas' disks as well."""
    max_stale_seconds: Annotated[float, Field(ge=0)] = 60.0
    """While the store is away, answer from caches for so long; then refuse with 503."""
    cache_bytes: Annotated[int, Field(ge=1 << 20)] = 1 << 30
    """Bound of the cache of tenants' memories; the least recently used leave first."""

    # What a tenant may use, where it has no limits of its own
    quota_facts: Annotated[int, Field(ge=1)] = 1_000_000
    """Facts, suppressions and chunks a tenant may hold."""
    quota_bytes: Annotated[int, Field(ge=1)] | None = None
    """Bytes a tenant may hold."""
    requests_per_minute: Annotated[int, Field(ge=1)] | None = None
    """Requests a tenant may make a minute."""
    tokens_per_minute: Annotated[int, Field(ge=1)] | None = None
    """Tokens that may be generated for a tenant a minute."""

    # Who may call
    auth: Literal["on", "off"] = "on"
    """`off` lets everyone do everything: only for a machine of one's own."""
    admin_key: SecretStr | None = None
    """The first key, which may do everything. At least 16 characters."""
    admin_key_file: Path | None = None
    """File that holds the first key."""
    receipt_key_file: Path | None = None
    """Ed25519 private key in PEM that signs receipts of erasure; the embedded start makes one."""
    audit_entries: Annotated[int, Field(ge=1)] = 10_000
    """Entries of the audit log that are kept, about."""
    metrics_token: SecretStr | None = None
    """Bearer token that `/metrics` asks for; without one it is open."""

    metrics_port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """Port that serves `/metrics`, and nothing else, instead of the main one."""

    # Limits
    body_bytes: Annotated[int, Field(ge=1024)] = 2 << 20
    """Longest body of a request; a longer one is refused with 413."""
    snapshot_bytes: Annotated[int, Field(ge=1024)] = 16 << 30
    """Longest snapshot that may be imported."""
    document_bytes: Annotated[int, Field(ge=1024)] = 32 << 20
    """Longest body of a document."""

    # The model
    checkpoint: Path | None = None
    """Folder of another checkpoint than the one that is shipped."""
    decoder: str | None = None
    """Where the decoder's base weights are (folder or hub id), if not where the checkpoint says."""
    encoder: str | None = None
    """The same for the address encoder."""
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:[0-9]+)?)$")] = "auto"
    """Where the model runs; `auto` takes a GPU where there is one."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """What the decoder computes in; `auto` is bfloat16 on a GPU and float32 on a CPU."""
    threads: Annotated[int, Field(ge=0)] = 0
    """Threads of a computation on the CPU; 0 is PyTorch's own choice."""
    max_rows: Annotated[int, Field(ge=1)] = 32
    """Rows that decode together."""
    queue_size: Annotated[int, Field(ge=1)] = 512
    """Rows of work that are let in at a time, half of them to one tenant alone; one more is
    refused with 429. 16 facts, queries or targets of an item count as a row."""

    # Life cycle and logs
    drain_delay: Annotated[float, Field(ge=0)] = 5.0
    """After SIGTERM, go on admitting requests for so long: load balancers notice late."""
    drain_timeout: Annotated[float, Field(ge=0)] = 30.0
    """Then give what runs so long to finish."""
    log_level: Literal["debug", "info", "warning", "error", "critical"] = "info"
    """Least level that is logged."""
    log_format: Literal["auto", "json", "console"] = "auto"
    """`auto` is `console` on a terminal, else `json`."""
    otlp_endpoint: str | None = None
    """Collector to send traces to, by OTLP over HTTP: `http://collector:4318`."""
    log_content: bool = False
    """Let logs hold texts of requests. For debugging only."""

    @model_validator(mode="after")
    def _consistent(self) -> Settings:
        if self.redis_url is None and not self.embedded:
            raise ValueError("LARIMAR_REDIS_URL must be set when LARIMAR_EMBEDDED is false")
        if self.admin_key and self.admin_key_file:
            raise ValueError("set LARIMAR_ADMIN_KEY or LARIMAR_ADMIN_KEY_FILE, not both")
        no_admin = self.admin_key is None and self.admin_key_file is None
        if self.redis_url is not None and no_admin and self.auth == "on":
            raise ValueError(
                "with LARIMAR_REDIS_URL, set LARIMAR_ADMIN_KEY or LARIMAR_ADMIN_KEY_FILE"
            )
        if self.redis_cluster and self.replicas:
            raise ValueError("LARIMAR_DURABILITY must be local with LARIMAR_REDIS_CLUSTER")
        return self

    @property
    def replicas(self) -> int:
        """Replicas that must confirm a change before it counts."""
        return int(self.durability.partition(":")[2] or 0)

    @property
    def data_path(self) -> Path:
        return self.data_dir.expanduser().absolute()

    @property
    def admin_key_path(self) -> Path:
        """Where the embedded start keeps its first key."""
        return self.data_path / "admin.key"


def load(**overrides: object) -> Settings:
    """Settings from environment and overrides (None is "not given"); raises SettingsError."""
    given = {name: value for name, value in overrides.items() if value is not None}
    _check_names(os.environ)
    try:
        return Settings(**given)  # type: ignore[arg-type]
    except tomllib.TOMLDecodeError as exc:
        raise SettingsError(f"LARIMAR_CONFIG_FILE is not TOML: {exc}") from None
    except ValidationError as exc:
        raise SettingsError("; ".join(map(_line, exc.errors(include_input=False)))) from None


def _check_names(given: Iterable[str]) -> None:
    """A misspelt variable would be ignored in silence, and with it what someone relies on."""
    known = {f"LARIMAR_{name.upper()}" for name in Settings.model_fields} | OTHER_VARIABLES
    for name in sorted(given):
        if name.upper().startswith("LARIMAR_") and name.upper() not in known:
            near = difflib.get_close_matches(name.upper(), known, 1)
            raise SettingsError(f"{name} is no setting" + (f": {near[0]}?" if near else ""))


def _there(path: str) -> Path:
    """A path that someone named must exist: silence would hide the mistake."""
    if not Path(path).exists():
        raise SettingsError(f"{path} does not exist")
    return Path(path)


def _line(error: object) -> str:
    assert isinstance(error, dict)
    message = str(error["msg"]).removeprefix("Value error, ")
    if not error["loc"]:
        return message
    return f"LARIMAR_{'_'.join(map(str, error['loc'])).upper()}: {message}"
