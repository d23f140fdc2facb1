"""`larimar serve` as a process, with the fake engine: `python -m benchmarks.fake_service DELAY`.

DELAY is the engine's seconds a token; FAKE_CHECKPOINT numbers its checkpoint. SIGUSR1
kills the engine as a crash of its thread would.
"""

from __future__ import annotations

import os
import signal
import sys

import typer

from cli.serve import run
from service.engine.fake import FakeEngine

app = typer.Typer()


@app.command()
def serve(delay: float) -> None:
    engine = FakeEngine(delay=delay, checkpoint=int(os.environ.get("FAKE_CHECKPOINT", "1")))
    signal.signal(signal.SIGUSR1, lambda *_: engine.kill())
    run(engine)


if __name__ == "__main__":
    sys.exit(app())
