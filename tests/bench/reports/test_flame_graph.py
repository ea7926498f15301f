"""Flame graphs."""

from xml.etree import ElementTree

import pytest

from tests.bench.reports.flame_graph import group, read, read_perf, svg

RAW = """main (bridge/serve.py:74);receive (bridge/rtp/fast_path.py:184);srtp_unprotect (srtp.c:12) 3
main (bridge/serve.py:74);Runner.run (asyncio/runners.py:118) 90
worker (threading.py:1);Condition.wait (threading.py:327) 50
run (threading.py:975);_worker (concurrent/futures/thread.py:81) 40
main (bridge/serve.py:74) 1
"""
SAMPLE = """\tffffffff82045a23 udp_recvmsg ([kernel.kallsyms])
\t          10aa3a __libc_recvfrom (/usr/lib/libc.so.6)
\t            1a45 packet_poll (/a folder/libpacket_path.so)
\t          1383f8 uv__io_poll (/a/loop.cpython-311.so)
"""
ROOT = "\tffffffffffffffff [unknown] ([unknown])\n"


def test_threads_that_wait_are_left_out():
    assert read(RAW) == {
        (
            "main (bridge/serve.py:74)",
            "receive (bridge/rtp/fast_path.py:184)",
            "srtp_unprotect (srtp.c:12)",
        ): 3,
        ("main (bridge/serve.py:74)",): 1,
    }


def test_samples_of_perf_begin_at_the_event_loop_however_far_they_reach():
    stack = (
        "uv__io_poll (loop.cpython-311.so)",
        "packet_poll (libpacket_path.so)",
        "__libc_recvfrom (libc.so.6)",
        "udp_recvmsg ([kernel.kallsyms])",
    )
    assert read_perf(f"{SAMPLE}\n{SAMPLE}{ROOT}\n") == {stack: 2}


def test_every_function_is_a_box_as_wide_as_its_share():
    drawing = ElementTree.fromstring(svg("a <load>", read(RAW)))
    names = {}
    for each in drawing.iter("{http://www.w3.org/2000/svg}g"):
        title, box, _ = each
        names[title.text] = (float(box.attrib["width"]), float(box.attrib["y"]))
    assert [width for width, _ in names.values()] == [1600.0, 1600.0, 1200.0, 1200.0]
    assert names["srtp_unprotect (srtp.c:12): 75.0%"][1] < names["all: 100.0%"][1]


def test_nothing_seen_is_drawn_as_nothing():
    assert "0 samples" in svg("a load", {})


@pytest.mark.parametrize(
    ("name", "belongs"),
    [
        ("receive (bridge/rtp/fast_path.py:184)", "Python"),
        ("0x7fe67538caf9 (libopus-114e2b1a.so.0.11.1)", "libopus"),
        ("_cffi_f_srtp_protect (pylibsrtp/_binding.abi3.so)", "SRTP"),
        ("sendmsg (libc.so.6)", "kernel and libc"),
        ("udp_sendmsg ([kernel.kallsyms])", "kernel and libc"),
        ("relay (libpacket_path.so)", "compiled packet path"),
        ("UDPTransport__send (loop.c:23)", "event loop"),
        ("_PyEval_EvalFrameDefault (ceval.c:1)", "interpreter and its modules"),
    ],
)
def test_colours_tell_what_a_function_belongs_to(name, belongs):
    assert group(name) == belongs
