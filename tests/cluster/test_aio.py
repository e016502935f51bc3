"""The client against a real API server: what it asks, and how a refusal comes back."""

import asyncio

import pytest
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config import load_kube_config

from dataefficient.cluster.aio import AioApi
from dataefficient.cluster.api import CONFIG_MAPS, ApiError, ConflictError, NotLeaderError


@pytest.fixture
def use(cluster, namespace):
    """Runs a coroutine function with a client and the namespace; ``leads`` says whether it may write."""

    def run(what, *, leads=True):
        async def ran():
            settings = Configuration()
            await load_kube_config(str(cluster.kubeconfig), client_configuration=settings)
            async with ApiClient(settings) as client:
                return await what(AioApi(client, may_write=lambda: leads), namespace)

        return asyncio.run(ran())

    return run


def config_map(name="one", **data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def test_what_was_changed_meanwhile_is_a_conflict_and_stays(use):
    async def what(api, namespace):
        first, _ = await api.create(CONFIG_MAPS, namespace, config_map(a="1"))
        await api.replace(CONFIG_MAPS, namespace, "one", {**first, "data": {"a": "2"}})
        with pytest.raises(ConflictError) as refused:
            await api.replace(CONFIG_MAPS, namespace, "one", {**first, "data": {"a": "3"}})
        assert refused.value.status == 409
        assert not refused.value.is_refusal
        assert (await api.get(CONFIG_MAPS, namespace, "one"))["data"] == {"a": "2"}

    use(what)


def test_what_exists_already_is_a_conflict(use):
    async def what(api, namespace):
        await api.create(CONFIG_MAPS, namespace, config_map())
        with pytest.raises(ConflictError):
            await api.create(CONFIG_MAPS, namespace, config_map())

    use(what)


def test_only_the_object_that_was_meant_is_deleted(use):
    async def what(api, namespace):
        made, _ = await api.create(CONFIG_MAPS, namespace, config_map())
        # One of an earlier life of the same name.
        with pytest.raises(ConflictError):
            await api.delete(CONFIG_MAPS, namespace, "one", uid="11111111-1111-1111-1111-111111111111")
        assert await api.get(CONFIG_MAPS, namespace, "one") is not None
        await api.delete(CONFIG_MAPS, namespace, "one", uid=made["metadata"]["uid"])
        assert await api.get(CONFIG_MAPS, namespace, "one") is None
        await api.delete(CONFIG_MAPS, namespace, "one", uid=made["metadata"]["uid"])

    use(what)


def test_a_trial_of_an_object_stores_nothing_and_knows_no_unknown_field(use):
    async def what(api, namespace):
        await api.create(CONFIG_MAPS, namespace, config_map(), dry_run=True)
        assert await api.get(CONFIG_MAPS, namespace, "one") is None
        with pytest.raises(ApiError, match="nosuch") as refused:
            await api.create(CONFIG_MAPS, namespace, {**config_map(), "nosuch": 1}, dry_run=True)
        assert refused.value.is_refusal

    use(what)


def test_who_does_not_lead_sends_no_write(use):
    async def what(api, namespace):
        with pytest.raises(NotLeaderError):
            await api.create(CONFIG_MAPS, namespace, config_map())
        assert await api.get(CONFIG_MAPS, namespace, "one") is None
        assert await api.list(CONFIG_MAPS, namespace, labels="none=such") == []

    use(what, leads=False)
