"""Money and proofs: what is agreed, locked, paid and given back, and what the log can prove of it."""

from typing import Final

from telemetry.dashboards.panels import Dashboard, Row, counted, highest, lines, number, per_second, total

_MONEY: Final = Row(
    "Market",
    (
        number(
            "In escrow", "Minor units that are locked now.", "short", highest("didymos_market_escrow_minor"), span=6,
        ),
        number(
            "Gap in the book", "Into escrow, less out of it, less what lies there: anything but 0 is lost money.",
            "short",
            highest("didymos_market_book_gap_minor"), span=6,
        ),
        number(
            "Payouts", "Payouts, within the time shown.", "short", counted("didymos_market_payouts_total"), span=6,
        ),
        lines(
            "Negotiations", "Negotiations by how they ended.", "rps",
            (per_second("didymos_market_agreements_total", "outcome"), "{{outcome}}"), span=6,
        ),
        lines(
            "Paid and given back", "Minor units a second, to owners and back to buyers.", "short",
            (per_second("didymos_market_payouts_minor_total"), "paid out"),
            (per_second("didymos_market_refunds_minor_total"), "given back"),
        ),
        lines(
            "Settlements", "Settlements by how they ended.", "rps",
            (per_second("didymos_market_settlements_total", "outcome"), "{{outcome}}"),
        ),
        lines(
            "Runs to settle", "Events that the market has not handled yet.", "short",
            (total("didymos_log_lag_records", labels='group="marketplace.settle"'), "records"),
        ),
    ),
)  # fmt: skip
_LOG: Final = Row(
    "Ledger",
    (
        number(
            "Age of the checkpoint", "Age of the last checkpoint that the witnesses agreed on.", "s",
            highest("didymos_ledger_checkpoint_age_seconds"), span=6,
        ),
        number(
            "Entries without witness", "Entries that no agreed checkpoint covers.", "short",
            highest("didymos_ledger_unwitnessed_entries"), span=6,
        ),
        lines(
            "Entries", "Entries appended to the log.", "rps",
            (per_second("didymos_ledger_entries_total"), "entries"), span=6,
        ),
        lines(
            "Proofs", "Proofs asked for: served, pending until the next checkpoint, or of something unknown.", "rps",
            (per_second("didymos_ledger_proofs_total", "outcome"), "{{outcome}}"), span=6,
        ),
        lines(
            "Witness", "Checkpoints shown to the witnesses of this house. One refused checkpoint is an alarm.", "rps",
            (per_second("didymos_ledger_witness_total", "outcome"), "{{outcome}}"), span=12,
        ),
        lines(
            "Events to keep", "Events that the ledger has not entered yet.", "short",
            (total("didymos_log_lag_records", labels='group="ledger.collect"'), "records"), span=12,
        ),
    ),
)  # fmt: skip
MARKET_LEDGER: Final = Dashboard(
    "market_ledger", "Didymos: market and ledger", "Agreements, escrow, payouts, and the log that proves them.",
    (_MONEY, _LOG),
)  # fmt: skip
