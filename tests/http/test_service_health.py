"""What is remembered of a service elsewhere, and who remembers it."""

from bridge.errors import WhatsAppError
from bridge.http.service_health import ServiceHealth


def test_the_last_success_failure_and_event_are_remembered():
    health = ServiceHealth()
    assert (health.answered_at, health.failed_at, health.reported_at) == (0.0, 0.0, 0.0)
    health.failed(WhatsAppError("Meta cannot be reached"))
    health.answered()
    health.reported()
    assert health.failure == "Meta cannot be reached"
    assert 0 < health.failed_at <= health.answered_at <= health.reported_at
