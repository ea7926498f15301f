"""What Meta's SIP server answers to our calls, as our end reasons and errors."""

import pytest

from bridge.call.model import EndReason
from bridge.errors import PermissionRequired, WhatsAppRefused
from bridge.sip.events import Refused
from bridge.whatsapp.sip_refusals import refused


@pytest.mark.parametrize("rang", [True, False])
@pytest.mark.parametrize(
    ("code", "phrase", "reason"),
    [
        (480, "Temporarily Unavailable", EndReason.NO_ANSWER),
        (486, "User declined the call", EndReason.REJECTED),
        (487, "Request Terminated", EndReason.CANCELED),
        (603, "Decline", EndReason.REJECTED),
        (408, "RTP Timeout", EndReason.MEDIA_TIMEOUT),
    ],
)
def test_what_the_user_does_is_no_error_and_486_is_no_busy_line(code, phrase, reason, rang):
    assert refused(Refused(code, phrase), rang=rang) == (reason, None)


@pytest.mark.parametrize(
    ("code", "phrase", "status", "words"),
    [
        (403, "No Approved Call Permission Found", 403, "POST /call/permission"),
        (403, "Business Initiated Connected Call Per Day Limit Hit", 429, "138012"),
        (403, "duplicate call", 409, "138003"),
        (403, "SIP server sip.b from INVITE does not match any SIP server", 409, "sip_hostname"),
        (403, "The app 7 is not authorized for phone number id 9", 409, "business_messaging"),
        (403, "Invalid digest: response", 409, "sip_password"),
        (403, 'Proxy auth uri does not match SIP "to" uri', 409, "credentials"),
        (403, "SDP Validation Error: x", 409, "whatsapp.media"),
        (400, "Asset not found, invalid business phone number", 409, "lines.NAME.numbers"),
        (407, "", 409, "sip_password"),
        (404, "", 409, "address"),
        (403, "", 409, "Meta refuses the call"),
        (503, "", 502, "does not respond"),
        (500, "", 502, "has failed"),
    ],
)
def test_what_meta_does_not_allow_names_the_setting_or_the_code_of_the_graph_api(
    code, phrase, status, words
):
    reason, error = refused(Refused(code, phrase), rang=False)
    assert reason is EndReason.FAILED
    assert error is not None
    assert error.status == status
    assert words in str(error)
    assert isinstance(error, PermissionRequired) is (status == 403)
    assert isinstance(error, WhatsAppRefused) is (status != 502)


def test_metas_phrase_is_not_passed_on_for_it_may_name_numbers():
    _, error = refused(Refused(403, "15550102222 may not"), rang=False)
    assert "15550102222" not in str(error)
