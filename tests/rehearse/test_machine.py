"""When the machine is to blame for a failed rehearsal."""

from bridge.rehearse.machine import MAX_LATE, MAX_WAITED, MachineLoad, explain


def test_what_is_normal_is_no_excuse():
    assert explain(MAX_LATE, MAX_WAITED) == ""


def test_late_audio_is_one():
    assert "audio was up to 350 ms late" in explain(0.35, 0.0)


def test_a_bridge_without_a_core_is_one():
    assert "waited for a CPU core 80% of the time" in explain(0.0, 0.8)


def test_the_load_is_measured():
    assert "up to 900 ms late" in MachineLoad().too_slow(0.9)
