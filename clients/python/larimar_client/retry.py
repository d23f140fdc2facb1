"""Whether a failed call is worth another attempt, and after how long.

A call is sent again only where that cannot do its work twice: reading may always be repeated,
a write carries an Idempotency-Key, and what can do neither is repeated only when the service
says that it did nothing.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from larimar_client.errors import (
    ApiError,
    CheckpointMismatch,
    DurabilityUnconfirmed,
    EngineStopped,
    LarimarError,
    OutcomeUnknown,
    Unavailable,
    Unreachable,
)

_FOR_AN_OPERATOR = (CheckpointMismatch, EngineStopped)
_PERHAPS_DONE = (OutcomeUnknown, DurabilityUnconfirmed)


@dataclass(frozen=True, slots=True)
class Retry:
    """Exponential backoff with full jitter; times in seconds."""

    attempts: int = 5
    first: float = 0.25  # the longest wait after the first attempt; doubles each time
    longest: float = 8.0
    patience: float = 30.0  # a Retry-After above this is not waited for


class Attempts:
    """The attempts of one call."""

    def __init__(self, policy: Retry, repeatable: bool) -> None:
        self._policy, self._repeatable, self._made = policy, repeatable, 0

    def wait_after(self, failure: LarimarError) -> float:
        """Seconds until the next attempt. Raises `failure` if there is to be none."""
        self._made += 1
        if self._made >= self._policy.attempts or not self._worth_it(failure):
            raise failure
        ceiling = min(self._policy.longest, self._policy.first * 2 ** (self._made - 1))
        asked = failure.retry_after if isinstance(failure, ApiError) else None
        return (asked or 0.0) + random.uniform(0, ceiling)

    def _worth_it(self, failure: LarimarError) -> bool:
        if isinstance(failure, Unreachable):
            return self._repeatable or not failure.sent
        if not isinstance(failure, Unavailable) or isinstance(failure, _FOR_AN_OPERATOR):
            return False
        if (failure.retry_after or 0) > self._policy.patience:
            return False
        known = failure.code in ApiError.CODES and not isinstance(failure, _PERHAPS_DONE)
        return self._repeatable or known
