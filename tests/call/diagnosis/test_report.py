"""What a diagnosis came to, in seconds of its call."""

from bridge.call.diagnosis.diagnosis import Diagnosis, Verdict
from bridge.call.diagnosis.finding import Finding
from bridge.call.diagnosis.problems import Code
from bridge.call.diagnosis.report import crashed_report, report_of


def test_a_problems_times_are_seconds_of_the_call():
    diagnosis = Diagnosis()
    diagnosis.report(Finding(Code.RECORDING_FAILED, None, {"reason": "disk_full"}), 105.0)
    diagnosis.end(109.0)
    report = report_of(diagnosis, now=109.0, began=100.0)
    [problem] = report.problems
    assert (problem.since, problem.until) == (5.0, 9.0)
    assert (report.verdict, report.codes) == (Verdict.PROBLEM, ("recording_failed",))


def test_a_call_without_problems_has_no_codes():
    assert report_of(Diagnosis(), now=1.0, began=0.0).codes == ()


def test_a_call_that_processes_died_of_has_that_as_its_only_problem():
    report = crashed_report(12.5)
    [problem] = report.problems
    assert (problem.since, problem.until, problem.leg_id) == (12.5, 12.5, None)
    assert (report.verdict, report.codes) == (Verdict.PROBLEM, ("call.crashed_node",))
    assert report.summary == problem.summary
