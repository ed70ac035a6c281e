"""First parameters, validation gradients and the fingerprint of this machine. torch is imported when it is needed."""

import asyncio
import os
from hashlib import sha256
from pathlib import Path

import numpy as np
from didymos_contracts.errors.training import TRAINING_VALIDATION_MISMATCHED
from didymos_learning import Flat, RunSpec, Windows, read_glucose, validation_windows


class TorchMathematics:
    """Fills `Mathematics`. `validation`: the file that runs commit to by its SHA-256; None: none is held here."""

    def __init__(self, validation: Path | None) -> None:
        self._validation = validation
        self._windows: dict[bytes, Windows] = {}
        self._turn = asyncio.Lock()  # one engine at a time, in one thread: else the bits are those of a race

    async def initial(self, spec: RunSpec) -> Flat:
        async with self._turn:
            return await asyncio.to_thread(_initial, spec)

    async def validation_gradient(self, spec: RunSpec, params: Flat) -> Flat | None:
        if not spec.validation:
            return None
        async with self._turn:
            return await asyncio.to_thread(self._gradient, spec, params)

    async def fingerprint(self, engine: str) -> str:
        async with self._turn:
            return await asyncio.to_thread(_fingerprint, engine)

    def _gradient(self, spec: RunSpec, params: Flat) -> Flat:
        from didymos_learning.devices import one_thread
        from didymos_learning.engine import Engine, validation_gradient

        one_thread()
        return validation_gradient(Engine(spec.model), params, self.windows_of(spec), spec)

    def windows_of(self, spec: RunSpec) -> Windows:
        """The validation data that `spec` commits to. Raises TRAINING_VALIDATION_MISMATCHED."""
        name = spec.validation + sha256(repr(spec.model.task).encode()).digest()
        if name not in self._windows:
            held = None if self._validation is None else self._validation.read_bytes()
            if held is None or sha256(held).digest() != spec.validation or self._validation is None:
                raise TRAINING_VALIDATION_MISMATCHED.problem(committed=spec.validation.hex())
            people = read_glucose(self._validation).values()
            self._windows[name] = validation_windows(people, spec.model.task)
        return self._windows[name]


def _fingerprint(engine: str) -> str:
    """In a thread: the first import of torch takes seconds, and the loop must go on."""
    import torch

    kernels = f"{torch.backends.cpu.get_cpu_capability()}; MKL_CBWR {os.environ.get('MKL_CBWR', 'unset')}"
    return f"torch {torch.__version__}; {kernels}; numpy {np.__version__}; {engine}"


def _initial(spec: RunSpec) -> Flat:
    from didymos_learning.devices import one_thread
    from didymos_learning.inline import initial_params

    one_thread()
    return initial_params(spec)
