import pytest

from bridge.call.model import EndReason
from bridge.errors import BridgeError, LegError, LimitExceeded, Unreachable
from bridge.node.dial_outcome import DialOutcome

REFUSAL = Unreachable("the number cannot be reached")


async def test_whoever_dialled_waits_until_the_provider_accepts():
    outcome = DialOutcome()
    outcome.accepted()
    await outcome.wait()


@pytest.mark.parametrize(
    ("reason", "refusal", "kind"),
    [
        (EndReason.UNREACHABLE, REFUSAL, Unreachable),
        (EndReason.DRAINED, None, LimitExceeded),
        (EndReason.CANCELED, None, LegError),
    ],
)
async def test_a_leg_that_ends_before_says_why(reason, refusal, kind):
    outcome = DialOutcome()
    outcome.ended(reason, refusal)
    outcome.accepted()
    with pytest.raises(BridgeError) as raised:
        await outcome.wait()
    assert type(raised.value) is kind
