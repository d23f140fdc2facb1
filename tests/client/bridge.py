"""The asyncio client behind the blocking one's face: one test holds both to one contract."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

from anyio.from_thread import BlockingPortal

from larimar_client import AsyncLarimar, AsyncTenant


@dataclass(frozen=True)
class Bridge:
    """Calls whatever is asked of `target` in the portal's event loop."""

    portal: BlockingPortal
    target: AsyncLarimar | AsyncTenant

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.target, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            return self.portal.call(self._run, method, args, kwargs)

        return call

    async def _run(self, method: Any, args: Any, kwargs: Any) -> Any:
        made = method(*args, **kwargs)
        if isinstance(made, AsyncTenant):
            return Bridge(self.portal, made)
        if isinstance(made, AsyncIterator):
            return self._pulled(made)
        return await made

    def _pulled(self, items: AsyncIterator[Any]) -> Iterator[Any]:
        while True:
            try:
                yield self.portal.call(anext, items)
            except StopAsyncIteration:
                return
