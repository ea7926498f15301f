"""Metrics of SIP."""

from bridge.metrics.registry import Metrics


def figure(metrics, series):
    lines = metrics.render().decode().splitlines()
    return next(float(line.rpartition(" ")[2]) for line in lines if line.startswith(series))


def test_messages_are_counted_by_method_and_class_of_response():
    metrics = Metrics(version="0")
    metrics.sip.message("out", "INVITE", 0)
    metrics.sip.message("in", "INVITE", 183)
    metrics.sip.message("in", "PUBLISH", 200)
    name = "bridge_sip_messages_total"
    assert figure(metrics, f'{name}{{code="request",direction="out",method="INVITE"}}') == 1
    assert figure(metrics, f'{name}{{code="1xx",direction="in",method="INVITE"}}') == 1
    assert figure(metrics, f'{name}{{code="2xx",direction="in",method="other"}}') == 1


def test_final_responses_to_invite_are_counted_by_their_code():
    metrics = Metrics(version="0")
    for code in (180, 486, 699):
        metrics.sip.message("in", "INVITE", code)
    name = "bridge_sip_invite_responses_total"
    assert figure(metrics, f'{name}{{code="486",direction="in"}}') == 1
    assert figure(metrics, f'{name}{{code="other",direction="in"}}') == 1
