"""What every section of the settings is made of."""

from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta

MARK: Final = "hidden"
"""In the metadata of a type: its values are secrets."""
Number: TypeAlias = Annotated[float, Meta(ge=0)]
Positive: TypeAlias = Annotated[float, Meta(gt=0)]
Count: TypeAlias = Annotated[int, Meta(ge=0)]
PositiveCount: TypeAlias = Annotated[int, Meta(ge=1)]
Secret: TypeAlias = Annotated[str, Meta(extra={MARK: True})]
"""A text that `media-bridge config show` and the doctor hide."""


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the settings file."""
