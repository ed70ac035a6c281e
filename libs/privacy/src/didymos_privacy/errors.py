"""The one exception of this library: a code of the catalogue and the values of the case."""


class PrivacyError(ValueError):
    """A vector, key, list or share that is not what it must be. `code`: `didymos_contracts.errors.privacy`."""

    def __init__(self, code: str, detail: str, **values: object) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail
        self.values = {"detail": detail, **values}

    def __str__(self) -> str:
        return f"{self.code}: {self.detail}"
