import re

import pytest

from bridge.call.diagnosis.problems import RULES, Code, Severity


def test_every_code_has_a_rule() -> None:
    assert list(RULES) == list(Code)


@pytest.mark.parametrize("code", Code)
def test_a_rule_is_a_sentence_and_a_mend(code: Code) -> None:
    rule = RULES[code]
    assert rule.summary.endswith(".")
    assert rule.fix.endswith(".")
    assert not re.search(r"\s{2}", rule.summary + rule.fix)


def test_what_somebody_does_on_purpose_is_a_notice() -> None:
    notices = {code for code in Code if RULES[code].severity is Severity.NOTICE}
    assert notices == {Code.MUTED, Code.HELD, Code.MICROPHONE_MUTED}
