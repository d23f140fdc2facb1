"""`larimar serve` whose generations run to their length limit; benchmarks/serving.py starts it.

An edited answer is a few words and an end token. Speeds are compared at equal lengths, so here no
token ends a row; all else is the service as it is, set by the same environment.
"""

from __future__ import annotations

from cli.serve import run
from service.model.decoder import Decoder


def main() -> None:
    Decoder.ends = property(lambda self: frozenset())  # type: ignore[method-assign, assignment]
    run()


if __name__ == "__main__":
    main()
