"""The closed set of problems: where each lies, how bad it is, what to say and what to do about it.

`docs/troubleshooting.md` has a section for each code, generated from this table.
"""

from collections.abc import Mapping
from typing import Final

from bridge.call.diagnosis.codes import Code as Code
from bridge.call.diagnosis.codes import Hop as Hop
from bridge.call.diagnosis.codes import Rule as Rule
from bridge.call.diagnosis.codes import Severity as Severity
from bridge.call.diagnosis.rules_bots import BOTS
from bridge.call.diagnosis.rules_bridge import BRIDGE
from bridge.call.diagnosis.rules_parties import FILTERED_FIX as FILTERED_FIX
from bridge.call.diagnosis.rules_parties import PARTIES

_WRITTEN: Final = {**PARTIES, **BOTS, **BRIDGE}
RULES: Final[Mapping[Code, Rule]] = {code: _WRITTEN[code] for code in Code}
"""In the order of the codes."""
