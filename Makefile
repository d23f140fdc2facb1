# The verbs people expect. Each is a script that also runs without make.
.PHONY: setup demo test check format proof
setup:  ; scripts/setup test
demo:   ; scripts/demo
test:   ; scripts/test
check:  ; scripts/check
format: ; .venv/bin/ruff check --fix . ; .venv/bin/ruff format .
proof:  ; .venv/bin/python -m benchmarks.memory_proofs && .venv/bin/python -m benchmarks.load_proof
