"""JUnit XML of rehearsed calls, as CI systems read it. Pure."""

import re
from collections.abc import Sequence
from typing import Final
from xml.etree import ElementTree as ET

from bridge.rehearse.result import Check, Result

SUITE: Final = "media-bridge rehearse"
_FORBIDDEN: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that no document of XML 1.0 may have (section 2.2)."""


def junit(results: Sequence[Result]) -> bytes:
    """Return a document with one test case a scenario.

    All failed checks of a scenario are in one `failure`, since some readers keep only the first. A scenario that could not be
    run, or not on this machine, is an `error`. Properties of a case are `file`, `title`, and each check by its name.
    """
    counted = {
        "tests": str(len(results)),
        "failures": str(sum(not result.passed and not result.error for result in results)),
        "errors": str(sum(bool(result.error) for result in results)),
        "skipped": "0",
        "time": f"{sum(result.seconds for result in results):.3f}",
    }
    root = ET.Element("testsuites", {"name": SUITE, **counted})
    suite = ET.SubElement(root, "testsuite", {"name": SUITE, **counted})
    if results:
        suite.set("timestamp", min(result.began for result in results))
    for result in results:
        suite.append(_case(result))
    ET.indent(root)
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def explain(check: Check) -> str:
    """Return a line with what a check expected, what was seen, and when."""
    when = "" if check.at is None else f" at {check.at:.2f} s"
    return f"{check.name}{when}: expected {check.expected}, got {check.seen}"


def _case(result: Result) -> ET.Element:
    case = _element("testcase", classname=SUITE, name=result.scenario, file=result.file)
    case.set("time", f"{result.seconds:.3f}")
    properties = ET.SubElement(case, "properties")
    for name, value in [("title", result.title), ("file", result.file)]:
        properties.append(_element("property", name=name, value=value))
    for check in result.checks:
        value = f"{'passed' if check.passed else 'failed'}: {check.seen}"
        properties.append(_element("property", name=check.name, value=value))
    failed = [check for check in result.checks if not check.passed]
    lines = [explain(check) for check in failed]
    if result.error:
        problem = _element("error", type="no verdict", message=result.error)
        problem.text = _clean("\n".join([result.error, *lines]))
        case.append(problem)
    elif failed:
        names = ", ".join(dict.fromkeys(check.name for check in failed))
        problem = _element("failure", type=failed[0].name, message=names)
        problem.text = _clean("\n".join(lines))
        case.append(problem)
    return case


def _element(tag: str, **attributes: str) -> ET.Element:
    return ET.Element(tag, {name: _clean(value) for name, value in attributes.items()})


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)
