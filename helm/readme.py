"""Writes the chart's README from Chart.yaml and the comments of values.yaml.

A table kept by hand forgets; this one is made of the file that Helm reads. A comment that opens
with "--" describes the key below it. `python helm/readme.py` writes; a test compares.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parent / "larimar"
HEAD = """\
# larimar {version}

{description}

One process a pod, any replica for any tenant, all state in Redis or Valkey. Kubernetes 1.30 or
newer, Helm 3 or 4. Operating it: `docs/operations/`.

<!-- not run: it needs a cluster -->
```bash
# CPU, with a Valkey of the release's own
helm install larimar helm/larimar --set gpu.count=0 --set valkey.enabled=true \\
  --set image.repository=REGISTRY/larimar-service
# GPU, with your Redis
kubectl create secret generic larimar-redis --from-literal=redis-url=rediss://:PASSWORD@HOST:6379/0
helm install larimar helm/larimar --set redis.existingSecret=larimar-redis \\
  --set image.repository=REGISTRY/larimar-service

helm test larimar   # writes, uses and forgets one fact
```

Without any Redis configured the chart does not render.

## Values

| key | default | what it is |
|---|---|---|
"""


def described(text: str) -> Iterator[tuple[str, str]]:
    """(dotted key, description) of every described key, in the file's order."""
    stack: list[tuple[int, str]] = []
    comment: list[str] = []
    for line in text.splitlines():
        bare = line.strip()
        if bare.startswith("# -- "):
            comment = [bare[5:]]
        elif bare.startswith("#"):
            comment += [bare[2:]] if comment else []
        elif ":" in bare and not bare.startswith("-"):
            indent = len(line) - len(line.lstrip())
            stack = [one for one in stack if one[0] < indent]
            stack.append((indent, bare.partition(":")[0]))
            if comment:
                yield ".".join(name for _, name in stack), " ".join(comment)
            comment = []


def default(values: dict[str, Any], key: str) -> str:
    """The value under a dotted key as JSON."""
    found: Any = values
    for name in key.split("."):
        found = found[name]
    return json.dumps(found, separators=(",", ":"))


def readme() -> str:
    text = (CHART / "values.yaml").read_text("utf-8")
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))
    values = yaml.safe_load(text)
    rows = [f"| `{key}` | `{default(values, key)}` | {what} |" for key, what in described(text)]
    return HEAD.format(**chart) + "\n".join(rows) + "\n"


if __name__ == "__main__":
    (CHART / "README.md").write_text(readme(), "utf-8")
