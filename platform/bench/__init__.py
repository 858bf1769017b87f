"""Benchmarks: figures and ratios measured in one run, on real Postgres, Valkey and sockets."""
