"""The same rounds by Flower's simulation, run by the Python of its own environment: `... NAME FOLDER ROUNDS OUT`.

As its documentation has it: a `NumPyClient`, a `ServerApp` with `FedAvg`, `run_simulation`, one CPU a client.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ |= {"FLWR_TELEMETRY_ENABLED": "0", "RAY_USAGE_STATS_ENABLED": "0", "OMP_NUM_THREADS": "1"}

import numpy as np
import torch
from didymos_learning import derive
from didymos_learning.models import build, initial, write_flat
from flwr.client import ClientApp, NumPyClient
from flwr.common import ndarrays_to_parameters, parameters_to_ndarrays
from flwr.server import ServerApp, ServerAppComponents, ServerConfig
from flwr.server.strategy import FedAvg
from flwr.simulation import run_simulation

from tests.bench.learning_bare import order_of, train_one
from tests.bench.learning_workloads import SAMPLES, WORKLOADS, install

NAME, FOLDER, ROUNDS, OUT = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])


class Client(NumPyClient):  # type: ignore[misc] # flwr is not installed where types are checked
    def __init__(self, number: int) -> None:
        torch.set_num_threads(1)
        rows = slice(number * SAMPLES, (number + 1) * SAMPLES)
        self.inputs, self.targets = (
            torch.from_numpy(np.array(np.load(FOLDER / f"{name}.npy", mmap_mode="r")[rows]))
            for name in ("inputs", "targets")
        )
        self.number, self.spec = number, WORKLOADS[NAME].spec(1)
        self.module = build(self.spec.model, 0)

    def fit(self, parameters: list[Any], config: dict[str, Any]) -> tuple[list[Any], int, dict[str, Any]]:
        with torch.no_grad():
            for own, given in zip(self.module.parameters(), parameters, strict=True):
                own.copy_(torch.from_numpy(given))
        order = order_of(self.spec.seed, int(config["round"]), self.number)
        train_one(self.module, self.inputs, self.targets, order)
        return [own.detach().numpy() for own in self.module.parameters()], SAMPLES, {}


class Timed(FedAvg):  # type: ignore[misc]
    """Notes when a round's mean is there, and what the third one is."""

    ends: list[float]
    third: list[float]

    def aggregate_fit(self, server_round: int, results: Any, failures: Any) -> Any:
        made = super().aggregate_fit(server_round, results, failures)
        self.ends.append(time.perf_counter())
        if server_round == 3:
            flat = np.concatenate([each.ravel() for each in parameters_to_ndarrays(made[0])]).astype(np.float64)
            self.third[:] = [float(flat.sum()), float(np.linalg.norm(flat)), len(results), len(failures)]
        return made


def client_of(context: Any) -> Any:
    install()
    return Client(int(context.node_config["partition-id"])).to_client()


def main() -> None:
    install()
    torch.set_num_threads(1)
    load, spec = WORKLOADS[NAME], WORKLOADS[NAME].spec(1)
    module = build(spec.model, 0)
    write_flat(module, spec.model.layout, initial(spec.model, derive(spec.seed, "init")))
    first = ndarrays_to_parameters([each.detach().numpy() for each in module.parameters()])
    strategy = Timed(
        fraction_fit=1.0, fraction_evaluate=0.0, min_fit_clients=load.clients, min_available_clients=load.clients,
        initial_parameters=first, on_fit_config_fn=lambda number: {"round": number},
    )  # fmt: skip
    strategy.ends, strategy.third = [], []
    server = ServerApp(
        server_fn=lambda _: ServerAppComponents(strategy=strategy, config=ServerConfig(num_rounds=ROUNDS))
    )
    resources = {"client_resources": {"num_cpus": 1, "num_gpus": 0.0}, "init_args": {"num_cpus": 2}}
    run_simulation(server, ClientApp(client_fn=client_of), load.clients, backend_config=resources)
    taken = [after - before for before, after in zip(strategy.ends, strategy.ends[1:], strict=False)]
    OUT.write_text(json.dumps({"taken": [0.0, *taken], "third": strategy.third}))


if __name__ == "__main__":
    main()
