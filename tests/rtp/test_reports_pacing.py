from bridge.rtp.reports import IDLE_SECONDS, TAIL, ReportPacing


def test_a_report_is_due_every_second_while_packets_come_or_go():
    pacing = ReportPacing()
    assert all(pacing.due(second * 50, None) for second in range(10))
    assert all(pacing.due(500, float(second)) for second in range(10))


def test_it_is_due_every_five_seconds_once_nothing_flows():
    pacing = ReportPacing()
    due = [pacing.due(7, None) for _ in range(1 + TAIL + 3 * IDLE_SECONDS)]
    assert due == [True] * (1 + TAIL) + ([False] * (IDLE_SECONDS - 1) + [True]) * 3


def test_it_is_due_at_once_when_something_flows_again():
    pacing = ReportPacing()
    for _ in range(20):
        pacing.due(7, 1.0)
    assert pacing.due(7, 20.0)


def test_seconds_without_a_packet_are_counted():
    pacing, idle = ReportPacing(), []
    for sent, received in [(7, 1.0), (7, 1.0), (7, 1.0), (8, 1.0), (8, 1.0), (8, 5.0)]:
        pacing.due(sent, received)
        idle.append(pacing.idle)
    assert idle == [0, 1, 2, 0, 1, 0]
