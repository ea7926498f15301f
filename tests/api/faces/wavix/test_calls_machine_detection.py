"""Wavix's machine detection."""

import pytest

from tests.support.inprocess import running
from tests.support.waiting import until_answer

pytestmark = [pytest.mark.usefixtures("nodes"), pytest.mark.virtual_time]
QUERY = "appid=demo"


@pytest.mark.parametrize(
    ("flag", "event"), [("machine_detection", "answered"), ("voicemail_detection", "completed")]
)
async def test_a_machine_that_answers_is_detected_and_one_flag_hangs_up_on_it(flag, event):
    async with running() as client:
        body = {"from": "15550109000", "to": "15550100002", flag: True}
        response = await client.http.post(f"/v1/call?{QUERY}", json=body)
        call_id = (await response.json())["uuid"]

        async def detected():
            response = await client.http.get(f"/v1/call/{call_id}?{QUERY}")
            call = (await response.json())["call"]
            return call if call["machine_detected"] else None

        call = await until_answer(detected, timeout=10)
        assert call["event_type"] == event
