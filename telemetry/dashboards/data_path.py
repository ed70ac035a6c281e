"""From a batch of readings to the state of a twin and whoever looks at it live."""

from typing import Final

from telemetry.dashboards.panels import Dashboard, Row, highest, lines, number, per_second, quantiles, ratio, total

_IN: Final = Row(
    "Taking in",
    (
        lines(
            "Readings", "Readings by what ingestion made of them.", "rps",
            (per_second("didymos_ingestion_readings_total", "outcome"), "{{outcome}}"),
        ),
        lines(
            "Batches", "Batches by what became of them; shed ones come again later.", "rps",
            (per_second("didymos_ingestion_batches_total", "outcome"), "{{outcome}}"),
        ),
        lines(
            "Formats", "Batches by the form in which they came.", "rps",
            (per_second("didymos_ingestion_batches_total", "format"), "{{format}}"),
        ),
        quantiles(
            "Acknowledgement", "From the bytes of a batch to its acknowledgement, the log included.",
            "didymos_ingestion_accept_seconds",
        ),
        lines(
            "Bytes in flight", "Bytes on their way to the log; near the limit batches are shed.", "bytes",
            (total("didymos_ingestion_in_flight_bytes"), "in flight"),
        ),
        lines(
            "Size of batches", "Mean size of a batch as received.", "bytes",
            (
                ratio(
                    per_second("didymos_ingestion_batch_bytes_sum"), per_second("didymos_ingestion_batch_bytes_count")
                ),
                "mean",
            ),
        ),
    ),
)  # fmt: skip
_STATE: Final = Row(
    "Applying",
    (
        lines(
            "Readings applied", "Readings by what applying made of them; a duplicate was there already.", "rps",
            (per_second("didymos_twin_readings_applied_total", "outcome"), "{{outcome}}"),
        ),
        lines(
            "Quality", "Readings at applying by quality: good from 80 of 100, fair from 50, poor below.", "rps",
            (per_second("didymos_twin_quality_readings_total", "band"), "{{band}}"),
        ),
        lines(
            "Lag", "Records that wait to be applied.", "short",
            (total("didymos_log_lag_records", labels='group="twin-state.apply"'), "records"),
        ),
        quantiles(
            "From reading to state", "From acceptance of a batch to its state.",
            "didymos_twin_reading_to_state_seconds",
        ),
        quantiles("Applying a slice", "One slice, until its state is stored.", "didymos_twin_apply_seconds"),
        number(
            "Partitions held", "Partitions that wait for a failure to pass. Runbook: PartitionHeld.", "short",
            total("didymos_log_held_partitions", labels='group="twin-state.apply"'), span=8,
        ),
    ),
)  # fmt: skip
_OUT: Final = Row(
    "Looking, and acting",
    (
        lines(
            "Live changes", "Changes at the door of live streams: delivered, denied by consent, or dropped.", "rps",
            (per_second("didymos_twin_pushes_total", "outcome"), "{{outcome}}"), span=6,
        ),
        lines(
            "Live streams", "Streams of twins that are open now.", "short",
            (total("didymos_http_streams", labels='service="twin-state"'), "open"), span=6,
        ),
        lines(
            "Acts of stewards", "Commands of stewards by what became of them.", "rps",
            (per_second("didymos_steward_acts_total", "outcome"), "{{outcome}}"), span=6,
        ),
        lines(
            "Twins with a steward", "Twins with a steward at work.", "short",
            (highest("didymos_steward_watched_twins"), "twins"), span=6,
        ),
    ),
)  # fmt: skip
_EDGES: Final = Row(
    "Brokers, and the past",
    (
        lines(
            "Messages of the MQTT broker", "Taken, refused for good, given back to come again, or let go.", "rps",
            (per_second("didymos_ingestion_mqtt_messages_total", "outcome"), "{{outcome}}"), span=6, needs="mosquitto",
        ),
        lines(
            "Gateways connected", "Gateways that have their MQTT broker. Runbook: GatewayAway.", "short",
            (total("didymos_ingestion_mqtt_connected"), "connected"), span=6, needs="mosquitto",
        ),
        lines(
            "Parcels folded", "Parcels of closed days that became series and rollups.", "rps",
            (per_second("didymos_twin_folded_parcels_total"), "parcels"), span=6,
        ),
        lines(
            "Rows that went by age", "Rows of history that no rule of retention keeps.", "rps",
            (per_second("didymos_twin_expired_rows_total"), "rows"), span=6,
        ),
    ),
)  # fmt: skip
DATA_PATH: Final = Dashboard(
    "data_path", "Didymos: data path", "Readings, from a device to the state of a twin and its live streams.",
    (_IN, _STATE, _OUT, _EDGES),
)  # fmt: skip
