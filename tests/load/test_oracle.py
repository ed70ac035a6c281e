"""An oracle that never objects would prove nothing: each lie of a house is told, and counted in its own column."""

from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from didymos_did import Did, TwinId
from didymos_readings import Column

from tests.load.oracle import Found, Held, Oracle
from tests.load.shapes import SHAPES, measured

TWIN = TwinId(Did("did:key:zTwin"))
NAME = (str(TWIN), "pump/flow")
TIMES = np.array([1, 2, 3, 4], np.int64)
VALUES = np.array([10.0, 20.0, 30.0, 40.0])


def column(t_us: Any, values: Any, name: str = NAME[1]) -> Column:
    return Column(TWIN, name, "L/min", np.array(t_us, np.int64), np.array(values, np.float64))


def an_oracle() -> Oracle:
    oracle = Oracle()
    assert oracle.acknowledge("device", (1, 1), [column(TIMES, VALUES)]) == 4
    return oracle


def truth(t_us: Any = TIMES, values: Any = VALUES) -> Found:
    t, v = np.array(t_us, np.int64), np.array(values, np.float64)
    return Found(Held(t, v), len(t), float(v.sum()), (int(t[-1]), float(v[-1])))


LIES = {
    "lost": (truth()._replace(history=Held(TIMES[1:], VALUES[1:])), {"lost": 1}),
    "twice": (truth()._replace(history=Held(np.array([1, 2, 2, 3, 4]), np.array([10.0, 20, 20, 30, 40]))),
              {"twice": 1}),
    "wrong": (truth()._replace(history=Held(TIMES, VALUES + np.array([0, 0, 1e-6, 0]))), {"wrong": 1}),
    "strange": (truth()._replace(history=Held(np.arange(1, 6), np.array([10.0, 20, 30, 40, 50]))), {"strange": 1}),
    "count": (truth()._replace(counted=5), {"counts_off": 1}),
    "sum": (truth()._replace(total=100.1), {"counts_off": 1}),
    "latest time": (truth()._replace(latest=(3, 40.0)), {"latest_off": 1}),
    "latest value": (truth()._replace(latest=(4, 30.0)), {"latest_off": 1}),
}  # fmt: skip


def test_the_truth_holds() -> None:
    verdict = an_oracle().judge(NAME, truth())
    assert verdict.holds
    assert (verdict.acknowledged, verdict.properties) == (4, 1)


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_told_in_its_column(lie: str) -> None:
    found, wanted = LIES[lie]
    verdict = an_oracle().judge(NAME, found)
    assert {name: off for name, off in asdict(verdict).items() if off and name not in ("acknowledged", "properties")} \
        == wanted  # fmt: skip
    assert not verdict.holds


def test_a_later_batch_corrects_an_earlier_one_in_whatever_order_they_are_acknowledged() -> None:
    oracle = Oracle()
    oracle.acknowledge("device", (1, 2), [column([4], [41.0])])
    oracle.acknowledge("device", (1, 1), [column(TIMES, VALUES)])
    assert oracle.expected(NAME).values.tolist() == [10.0, 20.0, 30.0, 41.0]
    assert oracle.judge(NAME, truth(values=[10.0, 20.0, 30.0, 41.0])).holds
    assert oracle.judge(NAME, truth()).wrong == 1


def test_in_one_batch_the_last_of_a_time_holds() -> None:
    oracle = Oracle()
    oracle.acknowledge("device", (1, 1), [column([1, 2], [1.0, 2.0]), column([2], [3.0])])
    assert oracle.expected(NAME).values.tolist() == [1.0, 3.0]


def test_an_answer_to_a_repeat_adds_nothing() -> None:
    oracle = an_oracle()
    assert oracle.acknowledge("device", (1, 1), [column(TIMES, VALUES)]) == 0
    assert oracle.readings(TWIN) == 4


def test_what_was_refused_must_not_be_there() -> None:
    oracle = Oracle()
    two = [column(TIMES, VALUES), column(TIMES, VALUES, "pump/power")]
    assert oracle.acknowledge("device", (1, 1), two, [(1, 2), (4, 4)]) == 2
    assert oracle.expected(NAME).t_us.tolist() == [1, 4]
    assert list(oracle.said) == [NAME]
    assert oracle.judge(NAME, truth()).strange == 2


@pytest.mark.parametrize(("rows", "lost", "twice"), [((4, 1), 0, 0), ((8, 2), 0, 4), ((0, 0), 4, 0), ((4, 2), 0, 1)])
def test_rows_tell_what_history_hides(rows: tuple[int, int], lost: int, twice: int) -> None:
    verdict = an_oracle().judge_rows({TWIN: rows})
    assert (verdict.lost, verdict.twice) == (lost, twice)


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_is_what_it_says_and_corrects_itself_now_and_then(name: str) -> None:
    shape = SHAPES[name].narrowed(5)
    twins = [TwinId(Did(f"did:key:z{number}")) for number in range(shape.twins)]
    batches = [each.columns for _, each in zip(range(60), measured(shape, twins, "seed"), strict=False)]
    assert {sum(len(column.t_us) for column in each) for each in batches} == {shape.size}
    assert {column.twin for column in batches[0]} == set(twins)
    oracle = Oracle()
    for number, columns in enumerate(batches):
        oracle.acknowledge("device", (1, number), columns)
    first = next(iter(oracle.said))
    assert 0 < len(oracle.expected(first).t_us) < sum(len(said.t_us) for said in oracle.said[first])
