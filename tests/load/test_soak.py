"""The judgement of the soak."""

from tests.load.soak import Sample, growth_per_call, verdict


def samples(*, bytes_per_call=0, descriptors=0, threads=0, warm=0):
    return [
        Sample(
            calls=number * 25,
            seconds=float(number),
            resident=50_000_000 + bytes_per_call * number * 25 - (warm if number < 20 else 0),
            descriptors=20 + descriptors * number,
            threads=3 + threads * number,
        )
        for number in range(40)
    ]


def test_a_flat_server_leaves_nothing_behind():
    assert verdict(samples()) == []


def test_memory_that_grows_with_every_call_is_told():
    assert round(growth_per_call(samples(bytes_per_call=5000))) == 5000
    assert verdict(samples(bytes_per_call=5000)) == ["memory grows by 5000 bytes a call"]


def test_what_is_loaded_at_the_beginning_is_not_a_leak():
    assert verdict(samples(warm=20_000_000)) == []


def test_descriptors_and_threads_that_stay_are_told():
    assert verdict(samples(descriptors=1)) == ["39 descriptors are left open"]
    assert verdict(samples(threads=1)) == ["39 threads are left"]
