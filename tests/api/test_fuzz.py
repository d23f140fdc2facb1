"""Generated requests for every operation of the served description: no 5xx, no surprise.

Every reply must have a status, a content type and a shape that the description names.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.api.running import ADMIN_KEY, Running

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)


# Fuzzed by itself: it would leave the others nothing to talk to, or no rate to do it.
OF_TENANTS = ("put_tenant", "delete_tenant")


@pytest.mark.parametrize("which", ["--exclude-operation-id", "--include-operation-id"])
def test_no_request_surprises(
    running: Running, admin: httpx.Client, tmp_path: Path, which: str
) -> None:
    admin.put("/v1/tenants/fuzzed").raise_for_status()
    options = [
        ("--header", f"Authorization: Bearer {ADMIN_KEY}"),
        ("--max-examples", "3"),
        ("--phases", "coverage,fuzzing"),
        ("--checks", ",".join(CHECKS)),
        ("--seed", "1"),
        *((which, operation) for operation in OF_TENANTS),
    ]
    command = [str(Path(sys.executable).with_name("schemathesis"))]
    command += ["--config-file", str(Path(__file__).with_name("schemathesis.toml"))]
    command += ["run", f"{running.url}/openapi.json", *(w for option in options for w in option)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
