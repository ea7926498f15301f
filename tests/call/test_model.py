from bridge.call.model import LEG_TRAITS, LegKind


def test_every_kind_of_leg_says_what_it_is():
    assert set(LEG_TRAITS) == set(LegKind)


def test_recorders_clash_with_sockets_and_streams_and_with_nothing_else():
    clashing = {
        (one, other)
        for one in LegKind
        for other in LegKind
        if one.traits.clashes_with(other.traits)
    }
    recorder, streams = LegKind.RECORDER, (LegKind.SOCKET, LegKind.STREAM)
    assert clashing == {pair for kind in streams for pair in ((kind, recorder), (recorder, kind))}
