"""The built image's command in its own root file system, as a container runtime starts it.

`python -m tests.chart.image ROOT INSPECTED` (as root; scripts/image calls it): read-only, as the
image's user, under the chart's environment, against a Valkey with password behind TLS. Held to:
health check, the `helm test` script, a drain within the grace period. Prints what was found.
"""

from __future__ import annotations

import datetime
import json
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.processes import free_port
from tests.chart.rendering import Release, render
from tests.chart.test_smoke import VALUES, mounted
from tests.chart.tls import Guarded, guarded_valkey

LOAD_SECONDS = 900  # patience, not a claim
# What a runtime mounts before it hands over; the root file system is read-only then.
MOUNTS = """\
set -e
mount --bind {root} {root}
mount -t tmpfs tmpfs {root}/tmp
mount -t proc proc {root}/proc
mount --rbind /dev {root}/dev
mount --bind /etc/hosts {root}/etc/hosts
mount --bind {secrets} {root}/etc/larimar
mount -o remount,ro,bind {root}
exec chroot --userspec={user} {root} /usr/bin/env -i {variables} {command}
"""


@dataclass(frozen=True)
class Container:
    """An image's root file system with what is mounted and set for it."""

    root: Path
    secrets: Path
    user: str
    variables: dict[str, str]

    def command(self, *arguments: str) -> list[str]:
        pairs = [f"{name}={value}" for name, value in self.variables.items()]
        script = MOUNTS.format(
            root=shlex.quote(str(self.root)),
            secrets=shlex.quote(str(self.secrets)),
            user=self.user,
            variables=shlex.join(pairs),
            command=shlex.join(arguments),
        )
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c", script]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command(*arguments), capture_output=True, text=True)


def made(
    root: Path, config: dict[str, Any], release: Release, folder: Path, guarded: Guarded
) -> Container:
    """The chart's container of this image, on a port of its own."""
    folder.chmod(0o755)
    (root / "etc" / "larimar").mkdir(exist_ok=True)
    (root / "etc" / "hosts").touch()
    own = dict(pair.split("=", 1) for pair in config["Env"])
    variables = own | mounted(release, guarded, folder) | {"LARIMAR_PORT": str(free_port())}
    return Container(root, folder, config["User"], variables)


def prove(container: Container, config: dict[str, Any], release: Release) -> dict[str, Any]:
    """Start, ask, stop. Raises AssertionError for what does not hold."""
    health = config["Healthcheck"]["Test"][1:]
    assert container.run(*health).returncode != 0, "healthy before it runs"
    assert container.run("touch", "/opt/larimar/x").returncode != 0, "not read-only"
    started = time.monotonic()
    command = container.command(*config["Entrypoint"], *release.container["args"])
    log = container.secrets / "service.log"
    with log.open("w") as out:
        service = subprocess.Popen(command, stdout=out, stderr=out)
    try:
        while container.run(*health).returncode != 0:
            assert service.poll() is None, "it ended"
            assert time.monotonic() < started + LOAD_SECONDS, "never ready"
            time.sleep(1)
        ready = time.monotonic() - started
        smoke(container, release)
        stopped = time.monotonic()
        service.send_signal(signal.SIGTERM)
        service.wait(timeout=release.pod["terminationGracePeriodSeconds"])
        assert service.returncode == 0, f"status {service.returncode}"
    except BaseException:
        service.kill()
        print(log.read_text("utf-8"), file=sys.stderr)
        raise
    return {
        "ready_seconds": round(ready, 1),
        "drain_seconds": round(time.monotonic() - stopped, 1),
        "native_decoding": "without the native library" not in log.read_text("utf-8"),
    }


def smoke(container: Container, release: Release) -> None:
    """The chart's `helm test` pod, against this container."""
    [pod] = release.all("Pod")
    [test] = pod["spec"]["containers"]
    arguments: Sequence[str] = test["command"] + test["args"]
    url = f"http://127.0.0.1:{container.variables['LARIMAR_PORT']}"
    here = [url if part.startswith("http://") else part for part in arguments]
    done = container.run(*here)
    assert done.returncode == 0, done.stderr


def size(root: Path) -> int:
    """Bytes of the files, uncompressed."""
    counted = subprocess.run(["du", "-sxb", root], check=True, capture_output=True, text=True)
    return int(counted.stdout.split()[0])


def main(root: Path, inspected: Path) -> None:
    image = json.loads(inspected.read_text("utf-8"))
    config = image["Docker"]["config"]
    release = render(VALUES)
    bytes_ = size(root)
    with (
        tempfile.TemporaryDirectory() as data,
        tempfile.TemporaryDirectory() as secrets,
        guarded_valkey(Path(data)) as guarded,
    ):
        container = made(root, config, release, Path(secrets), guarded)
        found = prove(container, config, release)
    print(
        json.dumps(
            {
                "command": "scripts/image",
                "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
                "revision": config["Labels"]["org.opencontainers.image.revision"],
                "image": image["FromImage"],
                "id": image["FromImageID"],
                "user": config["User"],
                "root_bytes": bytes_,
                **found,
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
