"""When the steps of a leg's set-up were done."""

from bridge.call.setup_timings import SetupClock, SetupTimings


def test_before_any_step_there_are_no_times():
    assert SetupClock(100.0).timings() == SetupTimings()


def test_steps_count_from_the_leg_s_beginning():
    setup = SetupClock(100.0)
    setup.note("offer", 100.5)
    setup.note("ice", 102.0)
    assert setup.timings() == SetupTimings(offer=0.5, ice=2.0)


def test_a_step_done_again_keeps_its_time():
    setup = SetupClock(100.0)
    setup.note("ice", 101.0)
    setup.note("ice", 130.0)
    assert setup.timings().ice == 1.0


def test_the_steps_that_are_done_are_listed_in_their_order():
    setup = SetupClock(100.0)
    setup.note("offer", 100.0)
    setup.note("dialled", 100.12345)
    setup.note("answer", 100.1)
    assert list(setup.timings().done().items()) == [
        ("offer", 0.0),
        ("answer", 0.1),
        ("dialled", 0.123),
    ]


def test_a_coarser_clock_does_not_make_a_step_precede_the_leg():
    setup = SetupClock(100.0)
    setup.note("offer", 99.999)
    assert setup.timings().offer == 0.0


def test_another_clock_goes_on_with_the_steps_that_are_done():
    setup, another = SetupClock(100.0), SetupClock(200.0)
    setup.note("offer", 100.5)
    another.restore({**setup.done(), "unknown": 1.0})
    another.note("offer", 300.0)
    another.note("ice", 101.0)
    assert another.timings() == SetupTimings(offer=0.5, ice=1.0)
