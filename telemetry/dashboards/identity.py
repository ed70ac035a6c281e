"""Who is who, who may do what, and how soon every process knows of it."""

from typing import Final

from telemetry.dashboards.panels import Dashboard, Row, counted, highest, lines, number, per_second

_FRESH: Final = Row(
    "How fresh consent is",
    (
        number(
            "Age of consent", "Age of what the slowest process knows of consent; from 5 s on it denies.", "s",
            highest("didymos_consent_staleness_seconds"), span=6,
        ),
        lines(
            "Age by process", "Age of what each process knows of consent.", "s",
            (highest("didymos_consent_staleness_seconds", "instance"), "{{instance}}"), span=6,
        ),
        lines(
            "Tails", "Time since the tails of identity and consent were known to be at the end.", "s",
            (
                highest("didymos_tail_staleness_seconds", "topic", 'topic=~"didymos.(identity|consent|heartbeat).v1"'),
                "{{topic}}",
            ),
            span=6,
        ),
        lines(
            "Outbox of identity", "Age of the oldest change that is not in the log.", "s",
            (highest("didymos_outbox_age_seconds", labels='service="identity"'), "age"), span=6,
        ),
    ),
)  # fmt: skip
_DECISIONS: Final = Row(
    "Decisions and grants",
    (
        lines(
            "Decisions", "Answers of decide(), by service.", "rps",
            (per_second("didymos_access_decisions_total", "service, outcome"), "{{service}} {{outcome}}"),
        ),
        lines(
            "Grants", "Changes of grants.", "rps",
            (per_second("didymos_identity_grants_total", "change"), "{{change}}"),
        ),
        lines(
            "Late consent records", "Consent records older than the one kept: repeats, of no effect.", "rps",
            (per_second("didymos_consent_superseded_total"), "superseded"),
        ),
    ),
)  # fmt: skip
_WHO: Final = Row(
    "Tokens and twins",
    (
        lines(
            "Tokens", "Requests for a token by outcome.", "rps",
            (per_second("didymos_identity_tokens_total", "outcome"), "{{outcome}}"),
        ),
        number(
            "Twins registered", "Within the time shown.", "short", counted("didymos_identity_twins_total"), span=8,
        ),
        number(
            "Keys destroyed", "Twin keys destroyed, which is erasure, within the time shown.", "short",
            counted("didymos_identity_keys_destroyed_total"), span=8,
        ),
    ),
)  # fmt: skip
IDENTITY: Final = Dashboard(
    "identity", "Didymos: identity and consent", "Tokens, grants, decisions, and how soon a revocation is known.",
    (_FRESH, _DECISIONS, _WHO),
)  # fmt: skip
