"""When a change counts as done: synced here, and on as many replicas as were asked for.

WAITAOF and WAIT answer for what their own connection has written, so they travel with the script
in one pipeline, which is one round trip too.
"""

from __future__ import annotations

from typing import Any, Final

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.client import Pipeline
from redis.asyncio.cluster import ClusterPipeline
from redis.commands.core import AsyncScript
from redis.exceptions import MovedError, NoScriptError, ResponseError

from memory_store.errors import DurabilityUnconfirmed

TIMEOUT_MS: Final = 3000
ATTEMPTS: Final = 3  # to a node that may not know the script yet, or no longer have the key


class Durability:
    """Runs changing scripts and waits until enough copies hold what they wrote.

    `replicas` is N of `replicated:N`; 0 asks the primary alone. A primary that keeps no
    append-only file has nothing to confirm but its replicas.
    """

    def __init__(self, client: Redis | RedisCluster, replicas: int) -> None:
        if replicas and isinstance(client, RedisCluster):
            raise ValueError("waiting for replicas is not offered on Redis Cluster")
        self._client, self._replicas = client, replicas
        self._wait: tuple[str | int, ...] | None = None

    async def run(self, script: AsyncScript, key: str, args: list[Any]) -> list[Any]:
        """The script's reply. Raises DurabilityUnconfirmed, and Redis's errors."""
        client = self._client
        wait = await self._command(key)
        for _ in range(ATTEMPTS):
            pipe = client.pipeline(transaction=False)
            pipe.execute_command("EVALSHA", script.sha, 1, key, *args)
            if wait:
                pipe.execute_command(*wait, **await self._node(key))
            reply, *copies = await self._sent(pipe)
            if isinstance(reply, NoScriptError):
                await client.script_load(script.script)
            elif isinstance(reply, MovedError):
                await client.exists(key)  # a lone command is led on, and the client learns the way
            else:
                break
        if isinstance(reply, Exception):
            raise reply
        self._wait = wait  # not before: a replica, which refuses the script, refuses WAITAOF too
        self._check(copies)
        done: list[Any] = reply
        return done

    async def _node(self, key: str) -> dict[str, Any]:
        """Where a command without a key has to go: on a cluster, to the node of the script's."""
        if not isinstance(self._client, RedisCluster):
            return {}
        await self._client.initialize()
        return {"target_nodes": self._client.get_node_from_key(key)}

    async def _sent(self, pipe: Pipeline | ClusterPipeline) -> list[Any]:
        """Replies and errors. Redirected, WAITAOF would ask a connection that wrote nothing."""
        further = {"allow_redirections": False} if isinstance(pipe, ClusterPipeline) else {}
        replies: list[Any] = await pipe.execute(raise_on_error=False, **further)
        return replies

    async def _command(self, key: str) -> tuple[str | int, ...]:
        """What to send after a script; () if there is nothing to wait for."""
        if self._wait is not None:
            return self._wait
        try:
            await self._client.execute_command("WAITAOF", 1, 0, 1, **await self._node(key))
        except ResponseError:  # an older Redis, or one without an append-only file
            return ("WAIT", self._replicas, TIMEOUT_MS) if self._replicas else ()
        return "WAITAOF", 1, self._replicas, TIMEOUT_MS

    def _check(self, copies: list[Any]) -> None:
        if not copies:
            return
        if isinstance(copies[0], Exception):
            raise DurabilityUnconfirmed(f"applied, but not confirmed: {copies[0]}")
        local, replicas = copies[0] if isinstance(copies[0], list) else (1, copies[0])
        if local < 1 or replicas < self._replicas:
            held = f"synced here: {bool(local)}, on replicas: {replicas} of {self._replicas}"
            raise DurabilityUnconfirmed(f"applied, but not confirmed in time ({held})")
