"""Metrics as rows. Made from telemetry/metrics.yaml by tools/metrics.py: change that, never this."""

from typing import Final

from didymos_contracts.metric_row import MetricRow

SERVICES: Final = (
    "identity",
    "ingestion",
    "twin-state",
    "training-orchestration",
    "site",
    "marketplace",
    "ledger",
    "steward",
    "other",
)
TOPICS: Final = (
    "didymos.audit.v1",
    "didymos.consent.v1",
    "didymos.dead.v1",
    "didymos.heartbeat.v1",
    "didymos.identity.v1",
    "didymos.ledger.v1",
    "didymos.market.v1",
    "didymos.model.v1",
    "didymos.quarantine.v1",
    "didymos.readings.v1",
    "didymos.settlement.v1",
    "didymos.training.v1",
    "didymos.twin.changed.v1",
    "didymos.twin.command.v1",
    "didymos.twin.lifecycle.v1",
    "didymos.twin.profile.v1",
    "didymos.twin.write.v1",
)
GROUPS: Final = (
    "ingestion.refusals",
    "twin-state.apply",
    "twin-state.gate",
    "twin-state.forecast",
    "steward.watch",
    "ledger.collect",
    "marketplace.settle",
    "other",
)
HTTP_REQUESTS_TOTAL: Final = MetricRow(
    "didymos_http_requests_total",
    "counter",
    "kit",
    "REST requests answered",
    labels=(
        ("service", SERVICES),
        ("status", ("1xx", "2xx", "3xx", "4xx", "5xx")),
    ),
)
HTTP_REQUEST_SECONDS: Final = MetricRow(
    "didymos_http_request_seconds",
    "histogram",
    "kit",
    "From the head of a REST request to the end of its answer",
    labels=(("service", SERVICES),),
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
HTTP_STREAMS: Final = MetricRow(
    "didymos_http_streams", "gauge", "kit", "Live streams open now", labels=(("service", SERVICES),)
)
RPC_REQUESTS_TOTAL: Final = MetricRow(
    "didymos_rpc_requests_total",
    "counter",
    "kit",
    "gRPC calls answered",
    labels=(
        ("service", SERVICES),
        ("outcome", ("ok", "refused", "failed", "cancelled")),
    ),
)
RPC_REQUEST_SECONDS: Final = MetricRow(
    "didymos_rpc_request_seconds",
    "histogram",
    "kit",
    "gRPC calls, from the first byte to the status",
    labels=(("service", SERVICES),),
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
PROCESS_READY: Final = MetricRow("didymos_process_ready", "gauge", "kit", "1 while the process is ready")
PROCESS_LOOP_LATE_SECONDS: Final = MetricRow(
    "didymos_process_loop_late_seconds",
    "histogram",
    "kit",
    "How late the event loop woke a timer, which is what every request waits for on top",
    buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1),
)
PROCESS_DISK_FREE_RATIO: Final = MetricRow(
    "didymos_process_disk_free_ratio", "gauge", "kit", "Free share of the disk with the files of the house, 0 to 1"
)
LOG_APPENDED_TOTAL: Final = MetricRow(
    "didymos_log_appended_total",
    "counter",
    "kit",
    "Records appended to the log and acknowledged",
    labels=(("topic", TOPICS),),
)
LOG_APPEND_SECONDS: Final = MetricRow(
    "didymos_log_append_seconds",
    "histogram",
    "kit",
    "One append until it is durable",
    buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1),
)
LOG_LAG_RECORDS: Final = MetricRow(
    "didymos_log_lag_records",
    "gauge",
    "kit",
    "Records behind the end of the log, over the partitions of this process",
    labels=(("group", GROUPS),),
)
LOG_SLICE_SECONDS: Final = MetricRow(
    "didymos_log_slice_seconds",
    "histogram",
    "kit",
    "Handling of one slice of a partition",
    labels=(("group", GROUPS),),
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
LOG_HELD_PARTITIONS: Final = MetricRow(
    "didymos_log_held_partitions",
    "gauge",
    "kit",
    "Partitions held by a failure that may pass",
    labels=(("group", GROUPS),),
)
LOG_DEAD_LETTERS_TOTAL: Final = MetricRow(
    "didymos_log_dead_letters_total", "counter", "kit", "Records put aside as dead letters", labels=(("topic", TOPICS),)
)
OUTBOX_AGE_SECONDS: Final = MetricRow(
    "didymos_outbox_age_seconds",
    "gauge",
    "kit",
    "Age of the oldest event that is not in the log",
    labels=(("service", SERVICES),),
)
OUTBOX_RELAYED_TOTAL: Final = MetricRow(
    "didymos_outbox_relayed_total",
    "counter",
    "kit",
    "Events moved from an outbox to the log",
    labels=(("service", SERVICES),),
)
TAIL_STALENESS_SECONDS: Final = MetricRow(
    "didymos_tail_staleness_seconds",
    "gauge",
    "kit",
    "Time since a tail was known to be at the end",
    labels=(("topic", TOPICS),),
)
CONSENT_STALENESS_SECONDS: Final = MetricRow(
    "didymos_consent_staleness_seconds", "gauge", "kit", "Age of what is known of consent; denial begins at 5 s"
)
CONSENT_SUPERSEDED_TOTAL: Final = MetricRow(
    "didymos_consent_superseded_total", "counter", "kit", "Consent records older than the one kept"
)
ACCESS_DECISIONS_TOTAL: Final = MetricRow(
    "didymos_access_decisions_total",
    "counter",
    "kit",
    "Answers of decide()",
    labels=(
        ("service", SERVICES),
        ("outcome", ("allowed", "denied")),
    ),
)
KAFKA_BROKERS: Final = MetricRow(
    "didymos_kafka_brokers", "gauge", "kit", "Brokers that the cluster names; 0 while none answers"
)
KAFKA_PARTITIONS: Final = MetricRow(
    "didymos_kafka_partitions",
    "gauge",
    "kit",
    "Partitions of our topics by their state",
    labels=(("state", ("whole", "under_replicated", "leaderless")),),
)
IDENTITY_GRANTS_TOTAL: Final = MetricRow(
    "didymos_identity_grants_total",
    "counter",
    "identity",
    "Changes of grants",
    labels=(("change", ("registered", "revoked", "suspended", "resumed", "expired")),),
)
IDENTITY_TOKENS_TOTAL: Final = MetricRow(
    "didymos_identity_tokens_total",
    "counter",
    "identity",
    "Requests for a token",
    labels=(("outcome", ("issued", "refused")),),
)
IDENTITY_TWINS_TOTAL: Final = MetricRow("didymos_identity_twins_total", "counter", "identity", "Twins registered")
IDENTITY_KEYS_DESTROYED_TOTAL: Final = MetricRow(
    "didymos_identity_keys_destroyed_total", "counter", "identity", "Twin keys destroyed, which is erasure"
)
INGESTION_READINGS_TOTAL: Final = MetricRow(
    "didymos_ingestion_readings_total",
    "counter",
    "ingestion",
    "Readings by what became of them",
    labels=(("outcome", ("accepted", "refused")),),
)
INGESTION_BATCHES_TOTAL: Final = MetricRow(
    "didymos_ingestion_batches_total",
    "counter",
    "ingestion",
    "Batches by what became of them",
    labels=(
        ("outcome", ("accepted", "refused", "shed")),
        (
            "format",
            ("protobuf", "json", "rows", "senml", "senml_cbor", "fhir", "ngsi_ld", "csv", "mapped_json", "cloudevents"),
        ),
    ),
)
INGESTION_ACCEPT_SECONDS: Final = MetricRow(
    "didymos_ingestion_accept_seconds",
    "histogram",
    "ingestion",
    "From the bytes of a batch to its acknowledgement",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
INGESTION_BATCH_BYTES: Final = MetricRow(
    "didymos_ingestion_batch_bytes",
    "histogram",
    "ingestion",
    "Size of a batch as received",
    buckets=(1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216),
)
INGESTION_IN_FLIGHT_BYTES: Final = MetricRow(
    "didymos_ingestion_in_flight_bytes", "gauge", "ingestion", "Bytes on their way to the log"
)
INGESTION_MQTT_MESSAGES_TOTAL: Final = MetricRow(
    "didymos_ingestion_mqtt_messages_total",
    "counter",
    "ingestion",
    "Messages of the MQTT broker by what became of them; returned ones come again",
    labels=(("outcome", ("taken", "refused", "returned", "dropped")),),
)
INGESTION_MQTT_CONNECTED: Final = MetricRow(
    "didymos_ingestion_mqtt_connected",
    "gauge",
    "ingestion",
    "1 while the gateway has its connection to the MQTT broker",
)
TWIN_READINGS_APPLIED_TOTAL: Final = MetricRow(
    "didymos_twin_readings_applied_total",
    "counter",
    "twin-state",
    "Readings by what applying made of them",
    labels=(("outcome", ("applied", "duplicate", "held")),),
)
TWIN_QUALITY_READINGS_TOTAL: Final = MetricRow(
    "didymos_twin_quality_readings_total",
    "counter",
    "twin-state",
    "Readings at applying by their quality: good from 80, fair from 50, poor below",
    labels=(("band", ("good", "fair", "poor")),),
)
TWIN_APPLY_SECONDS: Final = MetricRow(
    "didymos_twin_apply_seconds",
    "histogram",
    "twin-state",
    "Applying one slice, until state and offset are stored",
    buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1),
)
TWIN_PUSHES_TOTAL: Final = MetricRow(
    "didymos_twin_pushes_total",
    "counter",
    "twin-state",
    "Changes at the door of live streams",
    labels=(("outcome", ("delivered", "denied", "dropped")),),
)
TWIN_FOLDED_PARCELS_TOTAL: Final = MetricRow(
    "didymos_twin_folded_parcels_total", "counter", "twin-state", "Parcels folded into series and rollups"
)
TWIN_EXPIRED_ROWS_TOTAL: Final = MetricRow(
    "didymos_twin_expired_rows_total", "counter", "twin-state", "Rows of history that went by age"
)
TWIN_READING_TO_STATE_SECONDS: Final = MetricRow(
    "didymos_twin_reading_to_state_seconds",
    "histogram",
    "twin-state",
    "From acceptance of a batch to its state",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
TWIN_FORECASTS_TOTAL: Final = MetricRow(
    "didymos_twin_forecasts_total",
    "counter",
    "twin-state",
    "Forecasts made as readings came, by who spoke; none: no model could",
    labels=(("outcome", ("personal", "shared", "none")),),
)
TWIN_MODELS_REFUSED_TOTAL: Final = MetricRow(
    "didymos_twin_models_refused_total",
    "counter",
    "twin-state",
    "Models that could not speak for a twin, by why",
    labels=(("reason", ("model_missing", "model_unreadable", "past_too_short", "gap", "not_finite", "other")),),
)
TWIN_MODELS_WITHDRAWN_TOTAL: Final = MetricRow(
    "didymos_twin_models_withdrawn_total",
    "counter",
    "twin-state",
    "Own models withdrawn because drift took their gain away",
)
TWIN_FORECAST_BATCH_SECONDS: Final = MetricRow(
    "didymos_twin_forecast_batch_seconds",
    "histogram",
    "twin-state",
    "A batch of forecasts, from polled changes to stored and published",
    buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1),
)
TWIN_READING_TO_FORECAST_SECONDS: Final = MetricRow(
    "didymos_twin_reading_to_forecast_seconds",
    "histogram",
    "twin-state",
    "From the change by a reading to the forecast that follows from it",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
TWIN_PACKED_BYTES: Final = MetricRow(
    "didymos_twin_packed_bytes", "gauge", "twin-state", "Parameters kept packed for forecasts"
)
TRAINING_ROUNDS_TOTAL: Final = MetricRow(
    "didymos_training_rounds_total",
    "counter",
    "training-orchestration",
    "Rounds by how they ended",
    labels=(("outcome", ("closed", "aborted")),),
)
TRAINING_ROUND_SECONDS: Final = MetricRow(
    "didymos_training_round_seconds",
    "histogram",
    "training-orchestration",
    "A round, from opening to its checkpoint",
    buckets=(1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600),
)
TRAINING_RUNNING_ROUNDS: Final = MetricRow(
    "didymos_training_running_rounds", "gauge", "training-orchestration", "Rounds open now"
)
TRAINING_CLIENTS_TOTAL: Final = MetricRow(
    "didymos_training_clients_total",
    "counter",
    "training-orchestration",
    "Clients of rounds by what became of them",
    labels=(("outcome", ("delivered", "dropped", "refused")),),
)
TRAINING_SITES: Final = MetricRow(
    "didymos_training_sites", "gauge", "training-orchestration", "Sites that are dialled in"
)
TRAINING_MODELS_TOTAL: Final = MetricRow(
    "didymos_training_models_total",
    "counter",
    "training-orchestration",
    "Models by what the gate said",
    labels=(
        ("kind", ("global", "personal")),
        ("outcome", ("accepted", "rejected")),
    ),
)
TRAINING_UPDATE_BYTES: Final = MetricRow(
    "didymos_training_update_bytes",
    "histogram",
    "training-orchestration",
    "Size of a masked update",
    buckets=(1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216),
)
TRAINING_BUDGET_ROUNDS: Final = MetricRow(
    "didymos_training_budget_rounds",
    "gauge",
    "training-orchestration",
    "Rounds drawn from the budgets of grants, one a grant and round: in flight, and for good",
    labels=(("booking", ("reserved", "spent")),),
)
TRAINING_BUDGET_USED_RATIO: Final = MetricRow(
    "didymos_training_budget_used_ratio",
    "gauge",
    "training-orchestration",
    "Share of its budget that the most used grant of the last cohort has used, 0 to 1",
)
MARKET_AGREEMENTS_TOTAL: Final = MetricRow(
    "didymos_market_agreements_total",
    "counter",
    "marketplace",
    "Negotiations by how they ended",
    labels=(("outcome", ("agreed", "terminated")),),
)
MARKET_PAYOUTS_TOTAL: Final = MetricRow("didymos_market_payouts_total", "counter", "marketplace", "Payouts made")
MARKET_PAYOUTS_MINOR_TOTAL: Final = MetricRow(
    "didymos_market_payouts_minor_total", "counter", "marketplace", "Minor units paid out"
)
MARKET_REFUNDS_MINOR_TOTAL: Final = MetricRow(
    "didymos_market_refunds_minor_total", "counter", "marketplace", "Minor units given back"
)
MARKET_ESCROW_MINOR: Final = MetricRow("didymos_market_escrow_minor", "gauge", "marketplace", "Minor units locked now")
MARKET_BOOK_GAP_MINOR: Final = MetricRow(
    "didymos_market_book_gap_minor",
    "gauge",
    "marketplace",
    "Into escrow, less out of it, less what lies there: 0, or money was lost",
)
MARKET_SETTLEMENTS_TOTAL: Final = MetricRow(
    "didymos_market_settlements_total",
    "counter",
    "marketplace",
    "Settlements by how they ended",
    labels=(("outcome", ("settled", "disputed", "failed")),),
)
LEDGER_ENTRIES_TOTAL: Final = MetricRow("didymos_ledger_entries_total", "counter", "ledger", "Entries appended")
LEDGER_PROOFS_TOTAL: Final = MetricRow(
    "didymos_ledger_proofs_total",
    "counter",
    "ledger",
    "Proofs asked for",
    labels=(("outcome", ("served", "pending", "unknown")),),
)
LEDGER_CHECKPOINT_AGE_SECONDS: Final = MetricRow(
    "didymos_ledger_checkpoint_age_seconds", "gauge", "ledger", "Age of the last agreed checkpoint"
)
LEDGER_UNWITNESSED_ENTRIES: Final = MetricRow(
    "didymos_ledger_unwitnessed_entries", "gauge", "ledger", "Entries that no agreed checkpoint covers"
)
LEDGER_WITNESS_TOTAL: Final = MetricRow(
    "didymos_ledger_witness_total",
    "counter",
    "ledger",
    "Checkpoints shown to this witness",
    labels=(("outcome", ("cosigned", "refused")),),
)
STEWARD_ACTS_TOTAL: Final = MetricRow(
    "didymos_steward_acts_total",
    "counter",
    "steward",
    "What stewards did",
    labels=(("outcome", ("proposed", "applied", "refused", "undone")),),
)
STEWARD_WATCHED_TWINS: Final = MetricRow(
    "didymos_steward_watched_twins", "gauge", "steward", "Twins with a steward at work"
)
METRICS: Final[tuple[MetricRow, ...]] = (
    HTTP_REQUESTS_TOTAL,
    HTTP_REQUEST_SECONDS,
    HTTP_STREAMS,
    RPC_REQUESTS_TOTAL,
    RPC_REQUEST_SECONDS,
    PROCESS_READY,
    PROCESS_LOOP_LATE_SECONDS,
    PROCESS_DISK_FREE_RATIO,
    LOG_APPENDED_TOTAL,
    LOG_APPEND_SECONDS,
    LOG_LAG_RECORDS,
    LOG_SLICE_SECONDS,
    LOG_HELD_PARTITIONS,
    LOG_DEAD_LETTERS_TOTAL,
    OUTBOX_AGE_SECONDS,
    OUTBOX_RELAYED_TOTAL,
    TAIL_STALENESS_SECONDS,
    CONSENT_STALENESS_SECONDS,
    CONSENT_SUPERSEDED_TOTAL,
    ACCESS_DECISIONS_TOTAL,
    KAFKA_BROKERS,
    KAFKA_PARTITIONS,
    IDENTITY_GRANTS_TOTAL,
    IDENTITY_TOKENS_TOTAL,
    IDENTITY_TWINS_TOTAL,
    IDENTITY_KEYS_DESTROYED_TOTAL,
    INGESTION_READINGS_TOTAL,
    INGESTION_BATCHES_TOTAL,
    INGESTION_ACCEPT_SECONDS,
    INGESTION_BATCH_BYTES,
    INGESTION_IN_FLIGHT_BYTES,
    INGESTION_MQTT_MESSAGES_TOTAL,
    INGESTION_MQTT_CONNECTED,
    TWIN_READINGS_APPLIED_TOTAL,
    TWIN_QUALITY_READINGS_TOTAL,
    TWIN_APPLY_SECONDS,
    TWIN_PUSHES_TOTAL,
    TWIN_FOLDED_PARCELS_TOTAL,
    TWIN_EXPIRED_ROWS_TOTAL,
    TWIN_READING_TO_STATE_SECONDS,
    TWIN_FORECASTS_TOTAL,
    TWIN_MODELS_REFUSED_TOTAL,
    TWIN_MODELS_WITHDRAWN_TOTAL,
    TWIN_FORECAST_BATCH_SECONDS,
    TWIN_READING_TO_FORECAST_SECONDS,
    TWIN_PACKED_BYTES,
    TRAINING_ROUNDS_TOTAL,
    TRAINING_ROUND_SECONDS,
    TRAINING_RUNNING_ROUNDS,
    TRAINING_CLIENTS_TOTAL,
    TRAINING_SITES,
    TRAINING_MODELS_TOTAL,
    TRAINING_UPDATE_BYTES,
    TRAINING_BUDGET_ROUNDS,
    TRAINING_BUDGET_USED_RATIO,
    MARKET_AGREEMENTS_TOTAL,
    MARKET_PAYOUTS_TOTAL,
    MARKET_PAYOUTS_MINOR_TOTAL,
    MARKET_REFUNDS_MINOR_TOTAL,
    MARKET_ESCROW_MINOR,
    MARKET_BOOK_GAP_MINOR,
    MARKET_SETTLEMENTS_TOTAL,
    LEDGER_ENTRIES_TOTAL,
    LEDGER_PROOFS_TOTAL,
    LEDGER_CHECKPOINT_AGE_SECONDS,
    LEDGER_UNWITNESSED_ENTRIES,
    LEDGER_WITNESS_TOTAL,
    STEWARD_ACTS_TOTAL,
    STEWARD_WATCHED_TWINS,
)
