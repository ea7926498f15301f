import asyncio

import pytest

from bridge.call.leg_state import ProviderRequest, ProviderState
from bridge.errors import LegError
from bridge.legs.provider_requests import ProviderRequests

pytestmark = pytest.mark.virtual_time


async def test_a_request_is_pending_until_it_is_answered():
    requests = ProviderRequests()
    answer = asyncio.get_running_loop().create_future()
    asked = asyncio.create_task(requests.follow(answer))
    await asyncio.sleep(1)
    assert requests.state() == ProviderState(asked_at=0.0)
    answer.set_result("yes")
    assert await asked == "yes"
    assert requests.state() == ProviderState(latest=(ProviderRequest(0.0, 1.0),))


async def test_a_failed_request_stays_until_another_one_succeeds():
    requests = ProviderRequests()
    error = LegError("no")
    failed = asyncio.get_running_loop().create_future()
    failed.set_exception(error)
    with pytest.raises(LegError):
        await requests.follow(failed)
    failure = requests.state().failure
    assert failure is not None
    assert (failure.refused, failure.reason) == (True, "no")
    await requests.follow(asyncio.sleep(0))
    assert requests.state().failure is None
    assert [one.error for one in requests.state().latest] == ["leg_failed", ""]


async def test_a_request_that_is_cancelled_is_pending_no_more():
    requests = ProviderRequests()
    asked = asyncio.create_task(requests.follow(asyncio.sleep(60)))
    await asyncio.sleep(1)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    assert requests.state().asked_at is None
