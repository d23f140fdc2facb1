"""The proofs of load_proof.py for half a minute each, on real processes and a real Valkey."""

from __future__ import annotations

from pathlib import Path

from benchmarks.load_proof import chaos, steady

SECONDS = 30


def test_a_mixed_load_holds(tmp_path: Path) -> None:
    """No error, no wrong answer, nothing left over, no growth, nothing told by the log."""
    figures = steady(tmp_path, SECONDS)
    assert figures["requests"] > 0


def test_no_acknowledged_change_is_lost(tmp_path: Path) -> None:
    """Valkey is killed once and stopped once, and one of two workers is killed."""
    assert chaos(tmp_path, SECONDS)["acknowledged_facts_checked"] > 0
