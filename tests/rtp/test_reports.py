import pytest

from bridge.wire.rtp.rtcp import (
    Bye,
    ReceiverReport,
    ReportBlock,
    SenderReport,
    SourceDescription,
    ntp_middle,
    ntp_time,
    parse_compound,
    serialize,
)
from tests.support.packets.rtp_party import (
    OURS,
    THEIRS,
    WALL,
    Party,
)


@pytest.fixture
def party():
    return Party()


def test_before_anything_is_sent_a_receiver_report_goes_out(party):
    party.hear(0)
    party.session.report(1.0, WALL)
    report, name = parse_compound(party.rtcp[0])
    assert isinstance(report, ReceiverReport)
    assert report.ssrc == OURS
    assert report.blocks[0].ssrc == THEIRS
    assert name == SourceDescription(OURS, "bridge")


def test_a_sender_report_contains_what_was_sent(party):
    party.say(50)
    party.session.report(1.0, WALL)
    report = parse_compound(party.rtcp[0])[0]
    assert isinstance(report, SenderReport)
    assert (report.packets, report.octets) == (50, party.sent.bytes)
    assert report.ntp == ntp_time(WALL)
    assert report.timestamp == 5000 + 48_000
    assert report.blocks == ()


def our_block(party):
    report = parse_compound(party.rtcp[0])[0]
    assert isinstance(report, SenderReport | ReceiverReport)
    return report.blocks[0]


def test_our_report_contains_the_losses(party):
    for number in range(100):
        if number % 10 != 5:
            party.hear(number)
    party.session.report(2.0, WALL)
    block = our_block(party)
    assert block.packets_lost == 10
    assert block.fraction_lost == 10 * 256 // 100
    assert block.highest_sequence == 1099


def test_our_report_contains_the_jitter(party):
    for number in range(100):
        party.hear(number, now=0.02 * number + (0.005 if number % 2 else 0.0))
    party.session.report(2.0, WALL)
    block = our_block(party)
    assert block.jitter / 48_000 == pytest.approx(0.005, rel=0.02)
    assert party.received.jitter_seconds == pytest.approx(0.005, rel=0.02)


def test_our_report_lets_the_peer_compute_the_round_trip(party):
    party.hear(0)
    theirs = SenderReport(THEIRS, ntp_time(WALL), 0, 1, 100)
    party.session.receive_rtcp(serialize([theirs]), 0.25)
    party.session.report(1.0, WALL)
    block = our_block(party)
    assert block.last_report == ntp_middle(theirs.ntp)
    assert block.delay / 65_536 == pytest.approx(0.75, abs=0.0001)


def answered(party, *, answered_after, arrived_at, **figures):
    """Let the peer answer our last sender report."""
    ours = parse_compound(party.rtcp[-1])[0]
    assert isinstance(ours, SenderReport)
    block = ReportBlock(
        ssrc=OURS,
        fraction_lost=figures.get("fraction", 0),
        packets_lost=figures.get("lost", 0),
        highest_sequence=30_049,
        jitter=figures.get("jitter", 0),
        last_report=ntp_middle(ours.ntp),
        delay=round(answered_after * 65_536),
    )
    party.session.receive_rtcp(serialize([ReceiverReport(THEIRS, (block,))]), arrived_at)


def test_the_round_trip_comes_from_the_peers_report(party):
    party.say(50)
    party.session.report(1.0, WALL)
    answered(party, answered_after=0.4, arrived_at=1.48)
    assert party.session.statistics().round_trip_seconds == pytest.approx(0.08, abs=0.0001)


def test_a_step_of_the_wall_clock_does_not_change_the_round_trip(party):
    party.say(50)
    party.session.report(1.0, WALL)
    party.session.report(2.0, WALL + 3601)
    answered(party, answered_after=0.4, arrived_at=2.48)
    assert party.session.statistics().round_trip_seconds == pytest.approx(0.08, abs=0.0001)


def test_there_is_no_round_trip_before_the_peer_reported(party):
    assert party.session.statistics().round_trip_seconds is None


def test_the_peers_report_contains_its_losses(party):
    party.say(50)
    party.session.report(1.0, WALL)
    answered(party, answered_after=0.1, arrived_at=1.2, fraction=64, lost=12, jitter=480)
    sent = party.sent
    assert (sent.remote_lost, sent.remote_loss_ratio) == (12, 0.25)
    assert sent.remote_jitter_seconds == pytest.approx(0.01)


def test_the_peers_report_tells_up_to_which_packet_it_has_received(party):
    party.say(50)
    party.session.report(1.0, WALL)
    assert party.sent.reported_packets is None
    answered(party, answered_after=0.1, arrived_at=1.2)
    assert (party.sent.packets, party.sent.reported_packets) == (50, 50)
    party.say(10, first=50)
    assert (party.sent.packets, party.sent.reported_packets) == (60, 50)


def test_a_report_about_another_stream_is_ignored(party):
    block = ReportBlock(ssrc=9, fraction_lost=255, packets_lost=9, highest_sequence=9, jitter=9)
    party.session.receive_rtcp(serialize([ReceiverReport(THEIRS, (block,))]), 1.0)
    assert party.sent.remote_loss_ratio == 0.0


def test_the_last_report_ends_with_bye(party):
    party.say(1)
    party.session.report(1.0, WALL, bye=True)
    assert parse_compound(party.rtcp[0])[-1] == Bye((OURS,))


def test_malformed_rtcp_is_counted(party):
    party.session.receive_rtcp(b"\x80", 0.0)
    assert party.session.malformed == 1
