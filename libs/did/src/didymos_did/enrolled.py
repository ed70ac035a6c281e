"""What services read of an enrolment once identity told them of it: which twin, which paths, when."""

from typing import Protocol

from didymos_did.keys import TwinId


class Enrolled(Protocol):
    """An owner lets a device write `paths` of `twin` from `not_before_us` to before `until_us` (us UTC)."""

    @property
    def twin(self) -> TwinId: ...
    @property
    def paths(self) -> tuple[str, ...]: ...
    @property
    def not_before_us(self) -> int: ...
    @property
    def until_us(self) -> int: ...
    @property
    def lost_since_us(self) -> int | None: ...
