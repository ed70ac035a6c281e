"""The one exception of this library: a code of the catalogue and the values of the case."""


class LearningError(ValueError):
    """A specification, vector or series that is not what it must be. `code`: `didymos_contracts.errors.training`."""

    def __init__(self, code: str, **values: object) -> None:
        super().__init__(code, values)
        self.code = code
        self.values = values

    def __str__(self) -> str:
        said = ", ".join(f"{name}={value}" for name, value in self.values.items())
        return f"{self.code} ({said})" if said else self.code
