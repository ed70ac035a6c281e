"""Eight kinds of data come in by native batch, CSV, SenML in JSON and CBOR, NGSI-LD and CloudEvents, and are equal.

Values are made up, in the columns and units that the real data sets have.
"""

import json
from dataclasses import dataclass
from typing import Any

import cbor2
import numpy as np
import pytest
from didymos_contracts.errors import Problem
from didymos_ingestion.application.accept_batch import accept_batch
from didymos_ingestion.application.accept_events import accept_events
from didymos_ingestion.application.accept_pack import Pack, accept_pack
from didymos_readings import Assurance, Column, DeviceStream, Flag, built_in_profiles, parse_event
from didymos_testing.did import a_signer
from didymos_testing.ingestion import DEVICE, OPERATOR, TWIN, AnEnrolment, IntakeWorld
from didymos_testing.readings import NOON_US

HOUSE = a_signer("ingestion service")


@dataclass(frozen=True)
class DataSet:
    """One reading: as a CSV record, and as value and unit of other formats. `alias`: how the record calls the twin."""

    profile: str
    csv: str
    alias: str
    prop: str
    at_us: int
    native: tuple[float, str]
    senml: tuple[float, str]
    cefact: tuple[float, str]
    canonical: tuple[float, str]


DAY_US = 86_400_000_000
Y2K_US = 946_684_800_000_000
HEAD = {
    "cgm": "patient,time,cgm_mgdl,cbg_mgdl,ketone_mmol_l,meal,insulin_sc,csii_bolus_iu,csii_basal_iu_h,insulin_iv,"
    "other_drug",
    "wind": "turbine,time,power_kw,wind_ms,wind_dir_deg,nacelle_deg,pitch_deg,outdoor_c",
    "beat": "patient,sample,rr_prev_ms,rr_next_ms,symbol,aami," + ",".join(f"s{at:02}" for at in range(80)),
    "ship": "ID,Country,Shipment Mode,Delivered to Client Date,Vendor,Line Item Quantity,Line Item Value,"
    "Weight (Kilograms),Freight Cost (USD),Line Item Insurance (USD)",
}
SETS = (
    DataSet(
        "flash-glucose@2", f"{HEAD['cgm']}\n1001,2025-12-30 20:00,108,,,data not available,,,,,\n", "Patient/1001",
        "glucose/level", NOON_US - 2 * DAY_US, (108, "mg/dL"), (1.08, "kg/m3"), (1.08, "GL"), (108, "mg/dL"),
    ),
    DataSet(
        "household-energy@1", "home,time,load_kwh,solar_w_per_kwp\n3,2025-12-30 04:00,2.25,\n", "Home/3",
        "energy/load", NOON_US - 2 * DAY_US, (2250, "W.h"), (8.1e6, "J"), (2.25, "KWH"), (2.25, "kW.h"),
    ),
    DataSet(
        "wind-turbine@1", f"{HEAD['wind']}\nR80711,2025-12-30 12:00,1500,,,,,\n",
        "Turbine/R80711", "power/active", NOON_US - 2 * DAY_US, (1.5, "MW"), (1.5e6, "W"), (1500, "KWT"), (1500, "kW"),
    ),
    DataSet(
        "turbofan@1", "7 3 " + " ".join(["0"] * 4 + ["645.3"] + ["0"] * 19) + "  \n", "Engine/7",
        "temperature/lpc-outlet", Y2K_US + 3 * DAY_US, (645.3, "[degR]"), (358.5, "K"), (645.3, "A48"), (358.5, "K"),
    ),
    DataSet(
        "inertial@1", "subject,t_ms,ax,ay,az,gx,gy,gz,label\ns01,250,4905,,,,,,WALKING\n", "Person/s01",
        "acceleration/x", 1_672_531_200_250_000, (9.81, "m/s2"), (9.81, "m/s2"), (9.81, "MSK"), (9.81, "m/s2"),
    ),
    DataSet(
        "ecg-beat@1", f"{HEAD['beat']}\n100,360,,,N,N,{','.join([''] * 30 + ['220'] + [''] * 49)}\n", "Patient/100",
        "ecg/s30", Y2K_US + 1_000_000, (1100, "uV"), (1.1e-3, "V"), (1.1, "2Z"), (1.1, "mV"),
    ),
    DataSet(
        "shipment@1", f"{HEAD['ship']}\n44,Vietnam,Air,28-Dec-25,X,,,358,See ASN-85,\n", "Shipment/44",
        "shipment/weight", 1_766_880_000_000_000, (358_000, "g"), (358, "kg"), (358, "KGM"), (358, "kg"),
    ),
    DataSet(
        "traffic-detector@1", "detector,time,speed_mph\n773869,2025-12-30 04:00,65\n", "Detector/773869",
        "traffic/speed", NOON_US - 2 * DAY_US, (65, "[mi_i]/h"), (29.0576, "m/s"), (65, "HM"), (104.60736, "km/h"),
    ),
)  # fmt: skip


def packs(one: DataSet) -> dict[str, bytes]:
    at_s, name = one.at_us / 1e6, f"{one.alias}/{one.prop}"
    instant = np.datetime_as_string(np.datetime64(one.at_us, "us"), unit="us", timezone="UTC")
    attribute = {"value": one.cefact[0], "unitCode": one.cefact[1], "observedAt": instant}
    return {
        "text/csv": one.csv.encode(),
        "application/senml+json": json.dumps([{"n": name, "u": one.senml[1], "v": one.senml[0], "t": at_s}]).encode(),
        "application/senml+cbor": cbor2.dumps([{0: name, 1: one.senml[1], 2: one.senml[0], 6: at_s}]),
        "application/ld+json": json.dumps({"id": one.alias, "type": "T", one.prop: attribute}).encode(),
    }


def native(one: DataSet) -> Any:
    column = Column(TWIN, one.prop, one.native[1], np.array([one.at_us]), np.array([float(one.native[0])]))
    return DeviceStream(DEVICE, OPERATOR, one.profile).batch([column], NOON_US)


def an_event(media: str, body: bytes) -> bytes:
    said = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "datacontenttype": media}
    return json.dumps({**said, "data": json.loads(body)}).encode()


@pytest.mark.parametrize("one", SETS, ids=[one.profile for one in SETS])
async def test_each_format_gives_the_same_canonical_value(one: DataSet) -> None:
    world = IntakeWorld().enrol(AnEnrolment(paths=("features/**",), profile=one.profile, aliases=(one.alias,)))
    bodies = packs(one)
    for media, body in bodies.items():
        pack = Pack(media, body, DEVICE.did, 0, 0, Assurance.HTTP)
        taken = await accept_pack(pack, HOUSE, world.ports, world.clock)
        assert taken.accepted > 0, taken
    event = parse_event(an_event("application/ld+json", bodies["application/ld+json"]))
    await accept_events([event], Pack("", b"", DEVICE.did, 0, 0), HOUSE, world.ports, world.clock)
    await accept_batch(native(one), world.ports, world.clock)
    found = [each for parcel in world.writer.opened() for each in parcel.columns if each.property == one.prop]
    assert len(found) == 6
    for column in found:
        assert column.unit == one.canonical[1]
        assert column.t_us.tolist() == [one.at_us]
        np.testing.assert_allclose(column.value, [one.canonical[0]], rtol=1e-12)


async def sent(profile: str, alias: str, text: str) -> tuple[Any, IntakeWorld]:
    world = IntakeWorld().enrol(AnEnrolment(paths=("features/**",), profile=profile, aliases=(alias,)))
    pack = Pack("text/csv", text.encode(), DEVICE.did, 0, 0)
    return await accept_pack(pack, HOUSE, world.ports, world.clock), world


async def test_a_sensor_that_reads_absolute_zero_is_refused() -> None:
    lines = [f"R1,2026-01-01 1{at}:00,,,,,,{value}\n" for at, value in enumerate((4.5, -273, 5.0))]
    taken, _ = await sent("wind-turbine@1", "Turbine/R1", HEAD["wind"] + "\n" + "".join(lines[:2]))
    assert [(each.index, each.code) for each in taken.refused] == [(1, "reading.out_of_bounds")]


async def test_a_meter_that_reads_nothing_all_night_is_flat() -> None:
    text = "home,time,load_kwh,solar_w_per_kwp\n" + "".join(
        f"12,2025-12-30 {at:02}:00,{0 if at < 8 else 1 + at / 10},\n" for at in range(16)
    )
    taken, world = await sent("household-energy@1", "Home/12", text)
    assert taken.accepted == 16
    (column,) = world.writer.opened()[0].columns
    assert [bool(flag & Flag.FLAT) for flag in column.flags.tolist()] == [at < 8 for at in range(16)]


async def test_the_hour_that_a_freeway_has_twice_is_refused() -> None:
    text = "detector,time,speed_mph\n7,2025-11-02 00:59,60\n7,2025-11-02 01:30,60\n7,2025-11-02 02:00,60\n"
    taken, _ = await sent("traffic-detector@1", "Detector/7", text)
    assert [(each.index, each.code) for each in taken.refused] == [(1, "reading.time_ambiguous")]


async def test_dates_of_two_makes_are_read_and_texts_are_no_dates() -> None:
    lines = [f"1,X,Air,{day},V,1,,,,\n" for day in ("2-Jun-06", "06/03/2006", "Date Not Captured")]
    taken, _ = await sent("shipment@1", "Shipment/1", HEAD["ship"] + "\n" + "".join(lines))
    assert {(each.index, each.code) for each in taken.refused} == {(2, "reading.time_invalid")}


async def test_a_reading_for_a_stranger_is_refused() -> None:
    with pytest.raises(Problem) as raised:
        await sent("inertial@1", "Person/s01", "subject,t_ms,ax,ay,az,gx,gy,gz,label\ns02,1,1,1,1,1,1,1,x\n")
    assert raised.value.row.code == "reading.subject_unknown"


def test_a_profile_names_units_and_bounds_and_reads_files() -> None:
    profiles = built_in_profiles()
    for one in SETS:
        profile = profiles[one.profile]
        assert profile.csv is not None
        numbers = [each for each in profile.properties.values() if each.kind == "number"]
        assert all(each.unit and each.hard for each in numbers), one.profile
