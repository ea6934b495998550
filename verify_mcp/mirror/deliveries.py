"""The records of a session's attempts: read from the store once they are final, else requested.

A record is final when its state is one of the last ones and its session's last attempt lies a
settling time back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import anyio

from verify_mcp.domain.api_limits import is_uuid
from verify_mcp.domain.delivery_records import DeliveryRecord, RecordKind
from verify_mcp.domain.sessions import Attempt, Session
from verify_mcp.errors import DatabaseUnavailable, VerifyError
from verify_mcp.mirror import delivery_rows
from verify_mcp.mirror.session_source import SessionSource
from verify_mcp.mirror.store import Store
from verify_mcp.plivo.call import CallContext
from verify_mcp.settings import Settings


@dataclass(frozen=True, slots=True)
class DeliveryLookup:
    """An attempt's record, None when the API has none; `failure` is why it is not available."""

    record: DeliveryRecord | None = None
    failure: VerifyError | None = None


class Deliveries:
    """The records of attempts of one account; without a store each is requested."""

    def __init__(self, gateway: SessionSource, store: Store | None, settings: Settings) -> None:
        self._gateway = gateway
        self._store = store
        self._settle = settings.settle

    async def look_up(self, session: Session, *, call: CallContext) -> tuple[DeliveryLookup, ...]:
        """The record of each attempt of a session, in the order of its attempts."""
        stored = await self._read(session.attempts)
        found = {uuid: DeliveryLookup(record) for uuid, record in stored.items()}
        missing = [
            attempt
            for attempt in session.attempts
            if attempt.uuid not in found and is_uuid(attempt.uuid)
        ]

        async def request(attempt: Attempt) -> None:
            found[attempt.uuid] = await self._request(session, attempt, call)

        async with anyio.create_task_group() as tasks:
            for attempt in missing:
                tasks.start_soon(request, attempt)
        await self._save_final(
            session,
            {
                attempt.uuid: record
                for attempt in missing
                if (record := found[attempt.uuid].record) is not None
            },
        )
        return tuple(found.get(attempt.uuid, DeliveryLookup()) for attempt in session.attempts)

    async def _request(
        self, session: Session, attempt: Attempt, call: CallContext
    ) -> DeliveryLookup:
        kind: RecordKind = "call" if attempt.channel == "voice" else "message"
        try:
            record = await self._gateway.get_record(session, kind, attempt.uuid, call=call)
        except VerifyError as error:
            return DeliveryLookup(failure=error)
        return DeliveryLookup(record)

    async def _read(self, attempts: Sequence[Attempt]) -> dict[str, DeliveryRecord]:
        if self._store is None:
            return {}
        account, uuids = self._store.account, [attempt.uuid for attempt in attempts]
        try:
            return await self._store.database.read(
                lambda connection: delivery_rows.read(connection, account, uuids)
            )
        except DatabaseUnavailable:
            return {}

    async def _save_final(self, session: Session, records: Mapping[str, DeliveryRecord]) -> None:
        last = session.updated or session.created
        is_settled = session.ended and last <= self._gateway.api_clock.now() - self._settle
        final = {uuid: record for uuid, record in records.items() if record.is_final}
        if self._store is None or not is_settled or not final:
            return
        account = self._store.account
        try:
            await self._store.database.write(
                lambda connection: delivery_rows.insert(connection, account, session.created, final)
            )
        except DatabaseUnavailable:
            return  # the database reports it once; the next call requests them again
