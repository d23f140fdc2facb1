"""Client of Larimar Service: write facts into a language model's memory, and forget them.

`Larimar` blocks, `AsyncLarimar` does not; they offer the same calls with the same arguments.
"""

from larimar_client import errors
from larimar_client.aio import AsyncLarimar, AsyncTenant
from larimar_client.client import Larimar, Tenant
from larimar_client.errors import ApiError, LarimarError
from larimar_client.models import FactInput, GenerateReply, Progress, Token
from larimar_client.retry import Retry

__version__ = "0.1.0"
__all__ = [
    "ApiError",
    "AsyncLarimar",
    "AsyncTenant",
    "FactInput",
    "GenerateReply",
    "Larimar",
    "LarimarError",
    "Progress",
    "Retry",
    "Tenant",
    "Token",
    "errors",
]
