"""A webhook's secret that is renewed: the former one signs too, until receivers have changed over."""

import pytest

from bridge.settings.model import Net
from bridge.wire.signature import standard
from tests.support.inprocess import running, settings
from tests.support.servers.receiver import Taken, receiving
from tests.support.waiting import until

OPEN = Net(allow=["127.0.0.0/8"])


@pytest.fixture
async def client():
    async with running(settings(net=OPEN)) as client:
        yield client


async def signatures(client, receiver) -> tuple[list[str], Taken]:
    """Have a delivery made; returns its signatures, and itself."""
    await client.dial("15550100003")
    await until(lambda: receiver.taken)
    taken = receiver.taken[0]
    return taken.headers["webhook-signature"].split(" "), taken


def signed_with(secret, taken) -> str:
    at = float(taken.headers["webhook-timestamp"])
    headers = standard(secret, taken.headers["webhook-id"], taken.body, now=at)
    return headers["webhook-signature"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/webhook", {}),
        ("/v1/call/webhooks", {"event_type": "on-call"}),
    ],
)
async def test_a_renewed_secret_and_the_one_before_sign_both(client, path, body):
    async with receiving() as receiver:
        wanted = body | {"url": receiver.url}
        secrets = []
        for _ in range(2):
            told = await (await client.post(path, wanted)).json()
            secrets.append(told.get("secret") or told["data"]["secret"])
        found, taken = await signatures(client, receiver)
    assert found == [signed_with(secret, taken) for secret in reversed(secrets)]


async def test_a_url_on_another_origin_is_signed_with_its_own_secret_alone(client):
    async with receiving() as before, receiving() as receiver:
        await client.data("/webhook", {"url": before.url})
        secret = (await client.data("/webhook", {"url": receiver.url}))["secret"]
        found, taken = await signatures(client, receiver)
    assert found == [signed_with(secret, taken)]


async def test_a_webhook_that_is_renewed_again_and_again_keeps_the_latest_secrets(client):
    async with receiving() as receiver:
        secrets = [
            (await client.data("/webhook", {"url": receiver.url}))["secret"] for _ in range(9)
        ]
        found, taken = await signatures(client, receiver)
    assert found == [signed_with(secret, taken) for secret in secrets[:3:-1]]
