"""What each suite is held to, beside what it measured."""

from __future__ import annotations

from collections.abc import Sequence

from evaluation.report import Body

# suite, share, bar; a bar below zero is the most that may be
BARS = (
    ("counterfact", "edit", 0.99),
    ("counterfact", "paraphrase", 0.93),
    ("counterfact", "neighbours equal base", 0.97),
    ("zsre", "edit", 0.96),
    ("zsre", "paraphrase", 0.88),
    ("zsre", "unrelated questions equal base", 0.98),
    ("statements", "edit", 0.97),
    ("statements", "paraphrase", 0.88),
    ("statements", "neighbours equal base", 0.97),
    ("statements", "restated: the newest wins", 0.98),
    ("same-subject", "other relation equals base", 0.93),
    ("same-subject", "bare subject equals base", 0.95),
    ("alias", "alias", 0.60),
    ("application", "edit", 0.95),
    ("application", "paraphrase", 0.88),
    ("application", "near miss equals base", 0.95),
    ("sequential", "edit", 0.99),
    ("forgetting", "retained: generation unchanged", 1.0),
    ("forgetting", "erased, cue: score equals base", 1.0),
    ("forgetting", "erased, paraphrase: score equals base", 1.0),
    ("leakage", "suppressed leaks", -0.03),
    ("leakage", "neighbours equal base", 0.95),
    ("leakage", "other relations of the subject equal base", 0.95),
    ("leakage", "never suppressed: no 'unknown'", 1.0),
    ("long-context", "cue", 0.90),
    ("long-context", "paraphrase", 0.80),
    ("long-context", "unrelated equal base", 0.99),
    ("perplexity", "log-probability equals base", 1.0),
)


def table(suites: Sequence[Body]) -> str:
    """A row a bar; *holds*: the whole interval; *within*: the share, not the whole interval."""
    measured = {body["suite"]: body for body in suites}
    rows = ["| suite | facts | share | bar | measured | 95 % interval | N | |", "|---" * 8 + "|"]
    for suite, name, bar in BARS:
        body = measured[suite]
        s = body["shares"][name]
        sign, worst = ("≤", -s["high"]) if bar < 0 else ("≥", s["low"])
        value = -s["value"] if bar < 0 else s["value"]
        verdict = "holds" if worst >= bar else "within" if value >= bar else "**missed**"
        rows.append(f"| {suite} | {body['facts']} | {name} | {sign} {abs(bar):.2f} "
                    f"| {s['value']:.3f} | {s['low']:.3f}-{s['high']:.3f} | {s['n']} "
                    f"| {verdict} |")  # fmt: skip
    return "\n".join(rows)
