"""Every operation of the service, in one list."""

from typing import Final

from bridge.api import admin, lines
from bridge.api.operation import Operation

OPERATIONS: Final[tuple[Operation, ...]] = (*lines.OPERATIONS, *admin.OPERATIONS)
