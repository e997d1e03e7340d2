"""Results as InfluxDB points; the same calls serve InfluxDB 2 and 1.8 (with Flux enabled)."""

import csv
import json
from collections.abc import Sequence
from typing import Any, Final

import urllib3.exceptions
from influxdb_client.client.flux_csv_parser import FluxCsvParserException, FluxQueryException
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException

from processors.errors import RetryError
from processors.influx_points import SLOTTED, Held, Place, assign, place_of, point, probe, spans, tidy_tags
from processors.store import MAX_NS, Query, Record, Refused, Table, captured_ns, from_json, in_order, table_of
from schemas.topics import MAX_RESULT_BYTES

_SERVICE: Final = "influxdb"
_BAD_REQUEST: Final = (400, 413, 422)
"""the points are at fault; everything else may pass: a wrong token is put right by a person, not by losing points"""


class InfluxStore:
    """`bucket` is `database/policy` for 1.8, `token` there `user:password` or anything. Connects at the first call."""

    def __init__(self, url: str, token: str, org: str, bucket: str, timeout_seconds: float = 10.0) -> None:
        # Retrying is the caller's: no hidden second try
        self._client: Any = InfluxDBClient(
            url=url, token=token or "none", org=org, timeout=int(timeout_seconds * 1000), retries=False
        )
        self._bucket, self._org = bucket, org
        # answers come as CSV, and Python's reader stops at 128 KiB a field, less than a crowded picture's JSON
        csv.field_size_limit(max(csv.field_size_limit(), 16 * MAX_RESULT_BYTES))
        self._writer: Any = self._client.write_api(write_options=SYNCHRONOUS)
        self._asker = self._client.query_api()

    def write(self, records: Sequence[Record]) -> Sequence[Refused]:
        """Asks first what is held at these times, because InfluxDB itself lets the last writer win."""
        if not records:
            return []
        chosen = assign(records, self._held(records))
        return self._write([(record, point(record, slot)) for record, slot in chosen])

    def read(self, query: Query) -> list[Record]:
        """Where `limit` cuts through records of one moment, which of them remain is InfluxDB's choice."""
        if query.end_ns <= query.start_ns or query.limit == 0:
            return []
        flux = f'{self._from(query)} |> filter(fn: (r) => r._field == "json") |> keep(columns: ["_time", "_value"])'
        if query.limit is not None:
            flux += f' |> group() |> sort(columns: ["_time"], desc: true) |> limit(n: {query.limit:d})'
        rows = self._ask(flux)
        return in_order((from_json(query.table, row["_value"]) for row in rows), query.limit)

    def count(self, query: Query) -> int:
        """As InfluxDB counts them."""
        if query.end_ns <= query.start_ns:
            return 0
        rows = self._ask(f'{self._from(query)} |> filter(fn: (r) => r._field == "revision") |> group() |> count()')
        return sum(int(row["_value"]) for row in rows)

    def close(self) -> None:
        self._writer.close()
        self._client.close()

    # --- writing ----------------------------------------------------------------------------------------------------

    def _held(self, records: Sequence[Record]) -> dict[Place, list[Held]]:
        times: dict[Table, list[int]] = {}
        for record in records:
            times.setdefault(table_of(record), []).append(captured_ns(record))
        questions = [
            self._question(table, first, last) for table in sorted(times) for first, last in spans(times[table])
        ]
        flux = "\n".join(f'{question} |> yield(name: "{number}")' for number, question in enumerate(questions))
        found: dict[tuple[Place, int], dict[str, Any]] = {}
        for row in self._ask(flux):
            tags = {name: value for name, value in row.items() if name in ("camera", *_TAGS[row["_measurement"]])}
            place = row["_measurement"], tidy_tags(tags), row["ns"]
            found.setdefault((place, int(row.get("slot", 0))), {})[row["_field"]] = row["_value"]
        wanted = {place_of(record) for record in records}
        held: dict[Place, list[Held]] = {}
        for (place, slot), fields in found.items():
            if place in wanted:
                held.setdefault(place, []).append(Held(slot, fields.get("identity", ""), fields.get("revision", 0)))
        return held

    def _question(self, table: Table, first: int, last: int) -> str:
        source = self._from(Query(table, first, last + 1))
        if table in SLOTTED:
            fields = 'filter(fn: (r) => r._field == "identity" or r._field == "revision")'
        else:
            # a revision of zero never stands in anybody's way: usually nothing is left to fetch
            fields = 'filter(fn: (r) => r._field == "revision") |> filter(fn: (r) => r._value > 0)'
        # the client would cut _time to microseconds
        return f"{source} |> {fields} |> map(fn: (r) => ({{r with ns: int(v: r._time)}}))"

    def _write(self, points: Sequence[tuple[Record, Any]]) -> list[Refused]:
        why = self._send([each for _, each in points])
        if why is None:
            return []
        if len(points) > 1:
            half = len(points) // 2
            return self._write(points[:half]) + self._write(points[half:])
        if (everything := self._send([probe()])) is not None:
            raise RetryError(_SERVICE, f"takes no point at all: {everything}")
        return [Refused(points[0][0], why)]

    def _send(self, points: list[Any]) -> str | None:
        """None: all are written; a text: at least one can't be. Raises RetryError."""
        try:
            if points:
                self._writer.write(bucket=self._bucket, org=self._org, record=points)
        except ApiException as error:
            if error.status not in _BAD_REQUEST:
                raise RetryError(_SERVICE, _reason(error)) from error
            return _reason(error)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise RetryError(_SERVICE, str(error)) from error
        return None

    # --- asking -----------------------------------------------------------------------------------------------------

    def _from(self, query: Query) -> str:
        # 1.8 takes the end of a range for its last point, 2 for the first point behind it
        end = f" |> filter(fn: (r) => r._time < time(v: {query.end_ns:d}))" if query.end_ns < MAX_NS else ""
        only = f" and r.camera == {_text(query.camera)}" if query.camera is not None else ""
        return (
            f"from(bucket: {_text(self._bucket)}) "
            f"|> range(start: time(v: {query.start_ns:d}), stop: time(v: {query.end_ns:d})) "
            f'|> filter(fn: (r) => r._measurement == "{query.table}"{only})'
            f"{end}"
        )

    def _ask(self, flux: str) -> list[dict[str, Any]]:
        try:
            return [record.values for record in self._asker.query_stream(flux)]
        except ApiException as error:
            raise RetryError(_SERVICE, f"bucket {self._bucket}: {_reason(error)}") from error
        except (FluxQueryException, FluxCsvParserException, csv.Error, LookupError, ValueError) as error:
            # an answer that began well and ends with an error, or is no answer of InfluxDB's
            raise RetryError(_SERVICE, f"bucket {self._bucket}: {getattr(error, 'message', repr(error))}") from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise RetryError(_SERVICE, str(error)) from error


_TAGS: Final[dict[Table, tuple[str, ...]]] = {
    "detections": (),
    "events": ("kind", "rule"),
    "flow": ("line", "label", "direction"),
    "ledger": ("stage",),
}


def _text(value: str) -> str:
    """A Flux string literal."""
    return json.dumps(value, ensure_ascii=False).replace("${", "\\${")


def _reason(error: ApiException) -> str:
    body = error.body.decode(errors="replace") if isinstance(error.body, bytes) else str(error.body or "")
    try:
        answer = json.loads(body)
        text = str(answer.get("message") or answer.get("error") or body)
    except ValueError:
        text = body
    return f"status {error.status}: {(text or str(error.reason))[:300]}"
