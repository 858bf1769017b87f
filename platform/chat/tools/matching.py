"""Which services a customer means."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from lead_orchestrator.catalog.models import Service
from lead_orchestrator.messaging.plain_words import plain

__all__ = ["best"]

# What customers say, in either language, and the words that catalogs have for it.
_MEANING: Mapping[str, str] = {
    **dict.fromkeys(("ceramico", "ceramica", "ceramicos"), "ceramic"),
    **dict.fromkeys(("carbono", "carbon"), "carbon"),
    **dict.fromkeys(("parabrisas", "windscreen", "front glass", "windshields"), "windshield"),
    **dict.fromkeys(
        (
            "polarizado",
            "polarizar",
            "polarizados",
            "tintado",
            "tinte",
            "tinted",
            "tinting",
            "tints",
            "pelicula",
            "film",
        ),
        "tint",
    ),
    **dict.fromkeys(("ventana", "ventanas", "window", "vidrio", "vidrios", "cristal", "cristales"), "windows"),
    **dict.fromkeys(("delantero", "delantera", "delanteras", "delanteros", "frente"), "front"),
    **dict.fromkeys(("trasero", "trasera", "traseras", "traseros", "atras", "back"), "rear"),
    **dict.fromkeys(("lado", "lados", "laterales", "side"), "sides"),
    **dict.fromkeys(("techo", "sunroof", "roof", "moonroof"), "roof"),
    **dict.fromkeys(("panoramico", "panoramic", "glass roof"), "panoramic"),
    **dict.fromkeys(("camioneta", "pickup", "trucks", "silverado", "tacoma", "tundra", "ram"), "truck"),
    **dict.fromkeys(("completo", "completa", "entero", "whole", "entire", "todo"), "full"),
    **dict.fromkeys(("quitar", "remover", "remove", "removing", "removed", "strip off", "sacar"), "removal"),
    **dict.fromkeys(("viejo", "vieja"), "old"),
    **dict.fromkeys(("faro", "faros", "headlights", "luces"), "headlight"),
    **dict.fromkeys(("calavera", "calaveras", "taillights"), "taillight"),
    **dict.fromkeys(("vehiculo", "carro", "coche", "auto", "car", "sedan"), "vehicle"),
    **dict.fromkeys(("barato", "barata", "economico", "cheapest", "basic", "basico"), "classic"),
}
_TOO_COMMON = {"tint", "vehicle", "windows", "full"}
# A service for a part of a car, or another kind of car, is not what somebody means who does not say so.
_SPECIAL = frozenset(
    {
        "truck",
        "windshield",
        "roof",
        "panoramic",
        "removal",
        "headlight",
        "taillight",
        "quarter",
        "visor",
        "rear",
        "front",
        "old",
        "two",
    }
)
_RARE, _COMMON, _SPECIAL_COSTS = 3, 1, 2


def best(services: Sequence[Service], query: str, most: int) -> list[Service]:
    """The services that share the most words with `query`, the best first, in the catalog's order where they share as many; none if
    none shares any."""
    wanted = _words(query)
    scored = [(_score(service, wanted), service) for service in services]
    found = sorted((pair for pair in scored if pair[0] > 0), key=lambda pair: -pair[0])
    return [service for _, service in found[:most]]


def _score(service: Service, wanted: set[str]) -> float:
    name = _words(service.name)
    shared = wanted & name
    described = (wanted & _words(f"{service.description or ''} {service.category or ''}")) - shared
    points = sum(_COMMON if word in _TOO_COMMON else _RARE for word in shared) + _COMMON * len(described) / 2
    left = name - wanted
    # Of two that have what is wanted the one that is about nothing else comes first.
    return max(points - _SPECIAL_COSTS * len(left & _SPECIAL) - len(left) / 100, 0.01) if shared or described else 0.0


def _words(text: str) -> set[str]:
    words = plain(text).split()
    pairs = (" ".join(pair) for pair in itertools.pairwise(words))
    return {_MEANING.get(word, word) for word in (*words, *pairs)}
