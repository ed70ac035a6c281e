"""One transaction of the market: its tables, and its events in the outbox."""

from didymos_kit.database.unit_of_work import Transaction
from sqlalchemy.ext.asyncio import AsyncConnection

from didymos_marketplace.adapters import protobuf
from didymos_marketplace.adapters.sql_book import SqlBook, SqlSettlements
from didymos_marketplace.adapters.sql_terms import SqlAgreements, SqlNegotiations, SqlOffers
from didymos_marketplace.application.ports import Published, Settled
from didymos_marketplace.domain.agreement import Agreement, Negotiation


class SqlTables:
    """Reads and writes on one connection."""

    def __init__(self, connection: AsyncConnection) -> None:
        self.offers = SqlOffers(connection)
        self.negotiations = SqlNegotiations(connection)
        self.agreements = SqlAgreements(connection)
        self.book = SqlBook(connection)
        self.settlements = SqlSettlements(connection)


class SqlWork(SqlTables):
    """`Work` in one unit of work of kit."""

    def __init__(self, tx: Transaction) -> None:
        super().__init__(tx.connection)
        self.announce = Outbox(tx)


class Outbox:
    """`Announce`. All events about an agreement have its id as key, so they keep their order."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    def offer_published(self, published: Published) -> None:
        self._tx.publish_event(protobuf.offer_published(published), key=published.offer.id)

    def negotiation_moved(self, negotiation: Negotiation) -> None:
        self._tx.publish_event(protobuf.negotiation_moved(negotiation), key=negotiation.agreement)

    def agreement_made(self, agreement: Agreement) -> None:
        self._tx.publish_event(protobuf.agreement_made(agreement), key=agreement.id)

    def settled(self, settled: Settled) -> None:
        for event in protobuf.settlement_events(settled):
            self._tx.publish_event(event, key=settled.settlement.agreement)
