"""Everything that can be set: by `LARIMAR_…` in the environment, by a file, by secret files.

The environment wins over the secret files of LARIMAR_SECRETS_DIR (one a setting, named like its
variable in lower case), and they win over the TOML file that LARIMAR_CONFIG_FILE names.
A wrong setting stops the start: `load()` turns pydantic's report into one line a person can act
on. Secrets are `SecretStr`, so that neither a log nor `larimar config` shows them.
"""

from __future__ import annotations

import os
import tomllib
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


class SettingsError(Exception):
    """A setting is wrong; the text is one line that names it."""


class Settings(BaseSettings):
    """Settings of one service process. Sizes in bytes, times in seconds."""

    model_config = SettingsConfigDict(
        env_prefix="LARIMAR_", extra="forbid", frozen=True, env_ignore_empty=True
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
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    data_dir: Path = Path("~/.local/share/larimar")

    # The store
    embedded: bool = True
    redis_url: SecretStr | None = None
    redis_cluster: bool = False
    durability: Annotated[str, Field(pattern=r"^(local|replicated:[1-9][0-9]?)$")] = "local"
    max_stale_seconds: Annotated[float, Field(ge=0)] = 60.0
    cache_bytes: Annotated[int, Field(ge=1 << 20)] = 1 << 30

    # What a tenant may use, where it has no limits of its own
    quota_facts: Annotated[int, Field(ge=1)] = 1_000_000
    quota_bytes: Annotated[int, Field(ge=1)] | None = None
    requests_per_minute: Annotated[int, Field(ge=1)] | None = None
    tokens_per_minute: Annotated[int, Field(ge=1)] | None = None

    # Who may call
    auth: Literal["on", "off"] = "on"
    admin_key: SecretStr | None = None
    admin_key_file: Path | None = None
    receipt_key_file: Path | None = None  # Ed25519, PEM: signs proofs of erasure
    audit_entries: Annotated[int, Field(ge=1)] = 10_000
    metrics_token: SecretStr | None = None

    # Limits
    body_bytes: Annotated[int, Field(ge=1024)] = 2 << 20
    snapshot_bytes: Annotated[int, Field(ge=1024)] = 16 << 30
    document_bytes: Annotated[int, Field(ge=1024)] = 32 << 20

    # The model
    checkpoint: Path | None = None
    decoder: str | None = None  # where the base weights are, if not where the checkpoint says
    encoder: str | None = None
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:[0-9]+)?)$")] = "auto"
    threads: Annotated[int, Field(ge=0)] = 0  # 0: PyTorch's own choice
    max_rows: Annotated[int, Field(ge=1)] = 32  # rows that decode together
    queue_size: Annotated[int, Field(ge=1)] = 256

    # Life cycle and logs
    drain_delay: Annotated[float, Field(ge=0)] = 5.0
    drain_timeout: Annotated[float, Field(ge=0)] = 30.0
    log_level: Literal["debug", "info", "warning", "error", "critical"] = "info"
    log_format: Literal["auto", "json", "console"] = "auto"
    log_content: bool = False

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
    try:
        return Settings(**given)  # type: ignore[arg-type]
    except tomllib.TOMLDecodeError as exc:
        raise SettingsError(f"LARIMAR_CONFIG_FILE is not TOML: {exc}") from None
    except ValidationError as exc:
        raise SettingsError("; ".join(map(_line, exc.errors(include_input=False)))) from None


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
