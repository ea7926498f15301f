"""The bus: whose packets pass undecoded, and when frames are needed after all."""

from bridge.call.bus.bus import Bus
from bridge.call.bus.ends import Takers
from bridge.call.bus.party import PAUSE_SECONDS, RETURN_SECONDS
from bridge.call.model import Cadence, DeliveryPath, LegId
from tests.support.sound.voice import ANN, BOB, FAR, Voice, all_hear_all, bus_of

EVE, TAP = LegId("eve"), LegId("tap")


def forwarding(**more: Voice) -> tuple[Bus, Voice, Voice]:
    far, ann = Voice(passthrough=True), Voice(passthrough=True)
    bus = bus_of(far=far, ann=ann, **more)
    bus.route(all_hear_all(FAR, ANN), 0.0)
    return bus, far, ann


def test_packets_pass_undecoded_between_two_who_can():
    bus, far, ann = forwarding()
    frame = ann.speak(100)
    assert [packet.payload for packet in far.taken] == [frame.pcm]
    assert ann.to is None
    assert bus.path(FAR) is bus.path(ANN) is DeliveryPath.PASSTHROUGH
    assert bus.cadence is Cadence.NEVER


def test_a_sink_that_cannot_take_packets_gets_frames():
    far, ann = Voice(passthrough=True), Voice()
    bus = bus_of(far=far, ann=ann)
    bus.route(all_hear_all(FAR, ANN), 0.0)
    frame = far.speak(100)
    assert ann.heard == [frame]
    assert (far.forward, ann.forward) == (None, None)
    assert bus.path(ANN) is DeliveryPath.PCM


def test_who_only_listens_by_the_clock_gets_a_decoded_copy():
    bob = Voice(always_clocked=True)
    bus, far, ann = forwarding(bob=bob)
    bus.route({FAR: frozenset({ANN}), BOB: frozenset({ANN})}, 0.0)
    frame = ann.speak(100)
    assert len(far.taken) == 1
    assert far.heard == []
    bus.tick(0.01)
    assert bob.heard[0].pcm == frame.pcm
    assert (bus.path(FAR), bus.path(BOB)) == (DeliveryPath.PASSTHROUGH, DeliveryPath.CLOCK)


def test_a_second_source_moves_a_sink_to_the_clock():
    bus, far, ann = forwarding(bob=Voice(passthrough=True))
    bus.route(all_hear_all(FAR, ANN, BOB), 1.0)
    ann.speak(100, 1.0)
    assert far.taken == []
    bus.tick(1.01)
    assert len(far.heard) == 1
    assert bus.path(FAR) is DeliveryPath.CLOCK


def test_a_packet_that_does_not_fit_is_pushed_as_a_frame():
    bus, far, ann = forwarding()
    far.fits = False
    frame = ann.speak(100)
    assert far.heard == [frame]
    assert bus.path(FAR) is DeliveryPath.PCM


def test_a_sink_that_refused_a_packet_is_offered_another_five_seconds_later():
    _, far, ann = forwarding()
    far.fits = False
    ann.speak(100, 1.0)
    far.fits = True
    ann.speak(100, 1.0 + RETURN_SECONDS - 0.1)
    assert (len(far.heard), len(far.taken)) == (2, 0)
    ann.speak(100, 1.0 + RETURN_SECONDS)
    assert (len(far.heard), len(far.taken)) == (2, 1)
    assert ann.to is None


def test_a_sink_that_refuses_again_continues_with_frames():
    bus, far, ann = forwarding()
    far.fits = False
    ann.speak(100, 1.0)
    frame = ann.speak(100, 7.0)
    assert far.heard[-1] == frame
    assert bus.path(FAR) is DeliveryPath.PCM


def test_one_sink_that_refuses_does_not_disturb_another():
    far, ann, bob = Voice(passthrough=True), Voice(passthrough=True), Voice(passthrough=True)
    bus = bus_of(far=far, ann=ann, bob=bob)
    bus.route({ANN: frozenset({FAR}), BOB: frozenset({FAR})}, 0.0)
    bob.fits = False
    far.speak(100)
    far.speak(100)
    assert (len(ann.taken), len(ann.heard)) == (2, 0)
    assert (len(bob.taken), len(bob.heard)) == (0, 2)


def test_after_a_mix_frames_go_on_for_five_seconds():
    bus, far, ann = forwarding(bob=Voice(passthrough=True))
    bus.route(all_hear_all(FAR, ANN, BOB), 1.0)
    bus.leave(BOB, 2.0)
    ann.speak(100, 2.0)
    ann.speak(100, 2.0 + RETURN_SECONDS - 0.1)
    assert (len(far.heard), len(far.taken)) == (2, 0)
    ann.speak(100, 2.0 + RETURN_SECONDS)
    assert (len(far.heard), len(far.taken)) == (2, 1)


def test_a_sink_returns_to_the_relay_in_a_pause_of_speech():
    bus, far, ann = forwarding(bob=Voice(passthrough=True))
    bus.route(all_hear_all(FAR, ANN, BOB), 1.0)
    bus.leave(BOB, 2.0)
    due = 2.0 + RETURN_SECONDS
    ann.speak(100, due + 0.5, dbov=-20)
    assert far.taken == []
    ann.speak(100, due + 0.6, dbov=-70)
    ann.speak(100, due + 0.7, dbov=-20)
    assert (len(far.heard), len(far.taken)) == (1, 2)


def test_a_pause_of_speech_is_not_waited_for_long():
    bus, far, ann = forwarding(bob=Voice(passthrough=True))
    bus.route(all_hear_all(FAR, ANN, BOB), 1.0)
    bus.leave(BOB, 2.0)
    ann.speak(100, 2.0 + RETURN_SECONDS + PAUSE_SECONDS, dbov=-20)
    assert len(far.taken) == 1


def test_a_route_that_changes_nothing_for_a_sink_keeps_its_delivery_path():
    bus, far, ann = forwarding(bob=Voice(passthrough=True))
    far.fits = False
    ann.speak(100, 1.0)
    bus.route(all_hear_all(FAR, ANN), 1.5)
    far.fits = True
    ann.speak(100, 2.0)
    assert (len(far.heard), bus.path(ANN)) == (2, DeliveryPath.PASSTHROUGH)


def test_a_muted_source_needs_no_frames_and_is_relayed_again_at_once():
    bus, far, ann = forwarding()
    bus.route({ANN: frozenset({FAR})}, 1.0)
    ann.speak(100, 1.0)
    assert (ann.forward, bus.path(FAR)) == (None, None)
    bus.route(all_hear_all(FAR, ANN), 2.0)
    ann.speak(100, 2.0)
    assert len(far.taken) == 1


def test_the_source_learns_the_greatest_loss_behind_the_relay():
    far, ann, bob = Voice(passthrough=True), Voice(passthrough=True), Voice(passthrough=True)
    bus = bus_of(far=far, ann=ann, bob=bob)
    bus.route({ANN: frozenset({FAR}), BOB: frozenset({FAR})}, 0.0)
    ann.loss_ratio, bob.loss_ratio = 0.02, 0.1
    assert far.forward is not None
    assert far.forward.loss_ratio == 0.1
    bob.fits = False
    far.speak(100)
    assert far.forward.loss_ratio == 0.02


def recorded(*, rows, **voices):
    """The far party's forward, beside a recorder that hears what `rows` say."""
    voices = {"far": Voice(passthrough=True), "ann": Voice(passthrough=True), **voices}
    recorder = Voice(passthrough=True)
    bus = bus_of(**voices)
    bus.join(TAP, None, recorder, batched=True)
    bus.route({LegId(name): frozenset({FAR}) for name in rows}, 0.0)
    forward = voices["far"].forward
    assert forward is not None
    return bus, voices, recorder, forward


def test_a_relay_names_the_only_sink_and_its_taps():
    _, voices, recorder, forward = recorded(rows=["ann", "tap"])
    assert forward.takers == Takers(voices["ann"].take, (recorder.take,))


def test_a_relay_to_taps_alone_has_no_sink():
    _, _, recorder, forward = recorded(rows=["tap"])
    assert forward.takers == Takers(None, (recorder.take,))


def test_a_relay_to_several_sinks_or_to_one_that_needs_frames_names_none():
    _, _, _, forward = recorded(rows=["ann", "bob", "tap"], bob=Voice(passthrough=True))
    assert forward.takers is None
    _, voices, _, forward = recorded(rows=["ann", "tap"])
    voices["ann"].fits = False
    voices["far"].speak(100)
    assert forward.takers is None


def test_all_audio_until_now_is_delivered_when_the_bus_is_flushed():
    bus, voices, _, _ = recorded(rows=["ann", "tap"])
    bus.flush(1.0)
    assert [voice.flushes for voice in voices.values()] == [1, 1]


def test_the_buffer_of_a_source_is_pushed_only_to_sinks_that_leave_the_clock():
    far, ann, bob, eve = Voice(), Voice(), Voice(), Voice()
    bus = bus_of(far=far, ann=ann, bob=bob, eve=eve)
    both = frozenset({ANN, BOB})
    bus.route({FAR: both, EVE: frozenset({ANN})}, 0.0)
    frame = ann.speak(100)
    bus.route({FAR: frozenset({ANN}), EVE: frozenset({ANN})}, 0.01)
    assert far.heard == eve.heard == [frame]


def test_who_comes_from_the_clock_misses_nothing_that_another_still_waits_for():
    far, ann, bob, tap = Voice(), Voice(), Voice(), Voice(always_clocked=True)
    bus = bus_of(far=far, ann=ann, bob=bob, tap=tap)
    bus.route({FAR: frozenset({ANN, BOB}), TAP: frozenset({ANN})}, 0.0)
    frame = ann.speak(100)
    bus.route({FAR: frozenset({ANN}), TAP: frozenset({ANN})}, 0.01)
    bus.tick(0.02)
    assert far.heard == [frame]
    assert tap.heard[0].pcm == frame.pcm
