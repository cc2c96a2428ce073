"""Our speed against the peers': ``python -m benchmarks [name ...]``."""
