"""What rounds of interleaved requests come to: medians, percentiles, and ratios of neighbouring rounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median, quantiles

from lead_orchestrator.bench.load import Round

__all__ = ["figures", "percentile", "ratio", "spread"]


def percentile(values: Sequence[int], hundredth: int) -> float:
    """Milliseconds, of microseconds."""
    if not values:
        return 0.0
    cuts = quantiles(values, n=100, method="inclusive") if len(values) > 1 else [values[0]] * 99
    return round(cuts[hundredth - 1] / 1000, 2)


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """How many times as fast: the median over pairs of neighbouring rounds, so that what slows both cancels out."""
    return round(median(mine / other for mine, other in zip(ours, theirs, strict=True)), 2)


def spread(rates: Sequence[float]) -> float:
    """How noisy it was: (fastest - slowest) / median."""
    return round((max(rates) - min(rates)) / median(rates), 2)


def figures(rounds: Mapping[str, Sequence[Round]], ours: str) -> dict[str, object]:
    """Of one operation, by contestant; the ratios compare `ours` with each of the others."""
    rates = {name: [len(one.microseconds) / one.seconds for one in each] for name, each in rounds.items()}
    answers = {name: [time for one in each for time in one.microseconds] for name, each in rounds.items()}
    ratios = {f"vs{name[0].upper()}{name[1:]}": ratio(rates[ours], rates[name]) for name in rounds if name != ours}
    return {
        **ratios,
        "requestsPerSecond": {name: round(median(each)) for name, each in rates.items()},
        "p50Ms": {name: percentile(each, 50) for name, each in answers.items()},
        "p99Ms": {name: percentile(each, 99) for name, each in answers.items()},
        "spread": {name: spread(each) for name, each in rates.items()},
        "failures": {name: sum(one.failures for one in each) for name, each in rounds.items()},
    }
