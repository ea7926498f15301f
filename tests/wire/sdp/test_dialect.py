from bridge.wire.sdp.dialect import BROWSER, BROWSER_WITH_RED, WHATSAPP
from tests.support.packets.offers import offer

CHROME = offer("chrome")


def test_redundant_audio_is_accepted_only_where_it_is_wanted():
    assert BROWSER.parse_offer(CHROME).red_payload_type is None
    assert WHATSAPP.parse_offer(CHROME).red_payload_type is None
    assert BROWSER_WITH_RED.parse_offer(CHROME).red_payload_type == 63


def test_whatsapp_takes_digits_at_8_khz_alone():
    assert set(BROWSER.parse_offer(CHROME).telephone_events.values()) == {8000, 48_000}
    assert set(WHATSAPP.parse_offer(CHROME).telephone_events.values()) == {8000}
