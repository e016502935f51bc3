"""``NAME-champion`` and ``NAME-candidate``: what serving reads, always there from the first visit on.

Nobody owns them, unless ``promotion.onDelete`` says so: deleting the resource must not take serving's model
away. There is no candidate that waits for promotion; its ConfigMap says so instead of being absent.
"""

from __future__ import annotations

from dataefficient.api.compute import OnDelete
from dataefficient.api.spec import Resource
from dataefficient.cluster import names
from dataefficient.cluster.manifests import Manifest, metadata
from dataefficient.contract import format_time
from dataefficient.cycle.model import Champion, Memory


def published(resource: Resource, memory: Memory) -> tuple[Manifest, Manifest]:
    """The ConfigMaps of champion and candidate."""
    name = resource.metadata.name
    champion = {"state": "None"} if memory.champion is None else _told(memory.champion)
    return (
        _config_map(resource, names.champion(name), champion),
        _config_map(resource, names.candidate(name), {"state": "None"}),
    )


def _told(champion: Champion) -> dict[str, str]:
    return {
        "state": "Published",
        "uri": champion.checkpoint.uri,
        "digest": champion.checkpoint.digest,
        "cycle": str(champion.cycle),
        "size": str(champion.point.size),
        "position": format_time(champion.position),
    }


def _config_map(resource: Resource, name: str, data: dict[str, str]) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(resource, name, owned=resource.spec.promotion.on_delete is OnDelete.DELETE),
        "data": data,
    }
