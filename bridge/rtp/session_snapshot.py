"""An RTP session as data, and one that goes on from it.

Numbers and totals go on. What is heard begins anew: decoder, encoder and reordering, whose state no other process
can take; the next packet of either direction begins a new media epoch.
"""

from dataclasses import asdict

from bridge.rtp.counters import restore_counters
from bridge.rtp.receiver import RtpReceiver
from bridge.wire.rtp.reception import ReceptionStatistics
from bridge.wire.snapshot.session import ReceiverSnapshot


def receiver_snapshot(receiver: RtpReceiver) -> ReceiverSnapshot:
    """Return what another receiver goes on with; nothing is offloaded."""
    reception, source, reorder = receiver.reception, receiver.filter, receiver.reorder
    return ReceiverSnapshot(
        ssrc=source.ssrc,
        previous_ssrc=source.previous,
        payload_type=receiver.payload_type,
        last_received=receiver.last_received,
        reception=None if reception is None else reception.stand(),
        event=receiver.digit_receiver.newest(),
        counters=asdict(receiver.counters),
        late=reorder.late + (1 if reorder.holding else 0),
        reordered=reorder.reordered,
        unknown=source.unknown,
        refused=source.refused,
        malformed=receiver.malformed,
        meter=receiver.meter.snapshot(),
    )


def restore_receiver(receiver: RtpReceiver, snapshot: ReceiverSnapshot) -> None:
    """Let a fresh receiver of the same audio go on with another's source."""
    source, reception = receiver.filter, snapshot.reception
    source.ssrc, source.previous = snapshot.ssrc, snapshot.previous_ssrc
    source.unknown, source.refused = snapshot.unknown, snapshot.refused
    receiver.restore_source(
        snapshot.payload_type,
        None if reception is None else ReceptionStatistics.restored(reception),
        snapshot.last_received,
    )
    receiver.digit_receiver.restore(snapshot.event)
    restore_counters(receiver.counters, snapshot.counters)
    receiver.reorder.late, receiver.reorder.reordered = snapshot.late, snapshot.reordered
    receiver.meter.restore(snapshot.meter)
