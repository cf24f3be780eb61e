"""The bars that scripts/bench-peers loads: the same bytes on every run, on every machine."""

import json
import sys
import time
from decimal import Decimal

# The generator's version: another one makes other data, and old files are not taken for them.
GENERATOR = 1
SYMBOLS = 500
FIRST_MINUTE = 1_704_067_200  # 2024-01-01T00:00:00Z
COLUMNS = ["symbol", "interval", "ts", "open", "high", "low", "close", "volume"]
FORMATS = ["csv", "parquet"]


class Bars:
    """The files of so many bars, generated once."""

    def __init__(self, folder, rows, formats):
        folder.mkdir(parents=True, exist_ok=True)
        stem = f"bars-{rows}-v{GENERATOR}"
        self.rows = rows
        self.files = {form: folder / f"{stem}.{form}" for form in FORMATS}
        self.halves = [folder / f"{stem}.{half}.csv" for half in (1, 2)]
        for form in formats:
            self.make(form)
        self.close_sum = json.loads((folder / f"{stem}.{formats[0]}.json").read_text())

    def make(self, form):
        path = self.files[form]
        facts = path.with_name(path.name + ".json")
        if facts.is_file():
            return
        print(f"generating {path.name}", file=sys.stderr, flush=True)
        write = write_csv if form == "csv" else write_parquet
        part = path.with_name(path.name + ".part")
        close_sum = write(part, self.rows)
        part.rename(path)
        facts.write_text(json.dumps(close_sum))

    def split(self):
        """Two files of half the minutes each, for two streams of psql."""
        if all(half.is_file() for half in self.halves):
            return
        per_half = (self.rows // SYMBOLS + 1) // 2 * SYMBOLS
        with open(self.files["csv"], "rb") as whole:
            header = whole.readline()
            for half in self.halves:
                part = half.with_name(half.name + ".part")
                with open(part, "wb") as out:
                    out.write(header)
                    for _, line in zip(range(per_half), whole):
                        out.write(line)
                part.rename(half)


def blocks(rows):
    """The bars in blocks of whole minutes: symbol numbers, minutes and prices in 0.0001."""
    import pyarrow as pa
    import pyarrow.compute as pc

    u64 = lambda number: pa.scalar(number, pa.uint64())

    def spread(z):  # SplitMix64; products and sums wrap.
        z = pc.add(z, u64(0x9E3779B97F4A7C15))
        z = pc.multiply(pc.bit_wise_xor(z, pc.shift_right(z, u64(30))), u64(0xBF58476D1CE4E5B9))
        z = pc.multiply(pc.bit_wise_xor(z, pc.shift_right(z, u64(27))), u64(0x94D049BB133111EB))
        return pc.bit_wise_xor(z, pc.shift_right(z, u64(31)))

    def bits(z, shift, count):
        part = pc.bit_wise_and(pc.shift_right(z, u64(shift)), u64((1 << count) - 1))
        return part.cast(pa.int64())

    minutes_in_block = 500
    for first in range(0, rows // SYMBOLS, minutes_in_block):
        minutes = range(first, min(first + minutes_in_block, rows // SYMBOLS))
        symbol = pa.array(list(range(SYMBOLS)) * len(minutes), pa.int32())
        minute = pa.array([m for m in minutes for _ in range(SYMBOLS)], pa.int64())
        row = pa.array(range(minutes[0] * SYMBOLS, (minutes[-1] + 1) * SYMBOLS), pa.uint64())
        noise = spread(row)
        level = pc.add(bits(spread(symbol.cast(pa.uint64())), 0, 22), 1_000_000)
        open_ = pc.add(level, bits(noise, 0, 12))
        close = pc.add(level, bits(noise, 12, 12))
        high = pc.add(pc.max_element_wise(open_, close), bits(noise, 24, 10))
        low = pc.subtract(pc.min_element_wise(open_, close), bits(noise, 34, 10))
        yield symbol, minute, [open_, high, low, close], bits(noise, 44, 13)


def words(array, texts):
    import pyarrow as pa

    return pa.DictionaryArray.from_arrays(array, pa.array(texts)).cast(pa.string())


def symbols_of(symbol):
    return words(symbol, [f"SYM{number:05}" for number in range(SYMBOLS)])


def write_csv(path, rows):
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import csv as arrow_csv

    def decimal(price):
        return pc.multiply(price.cast(pa.decimal128(19, 0)), tick).cast(pa.string())

    def clock(minute):
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(FIRST_MINUTE + 60 * minute))

    total = 0
    tick = pa.scalar(Decimal("0.0001"), pa.decimal128(5, 4))
    plain = arrow_csv.WriteOptions(include_header=False, quoting_style="none")
    with open(path, "wb") as out:
        out.write((",".join(COLUMNS) + "\n").encode())
        for symbol, minute, prices, volume in blocks(rows):
            first, last = minute[0].as_py(), minute[-1].as_py()
            clocks = [clock(at) for at in range(first, last + 1)]
            ts = words(pc.subtract(minute, first).cast(pa.int32()), clocks)
            interval = pa.array(["1m"] * len(minute))
            columns = [symbols_of(symbol), interval, ts, *map(decimal, prices), volume]
            arrow_csv.write_csv(pa.table(columns, COLUMNS), out, plain)
            total += pc.sum(prices[3]).as_py()
    return total


def write_parquet(path, rows):
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    total = 0
    instant = pa.timestamp("us", "UTC")
    types = [pa.string(), pa.string(), instant] + [pa.float64()] * 5
    schema = pa.schema(list(zip(COLUMNS, types)))
    with pq.ParquetWriter(path, schema) as writer:
        for symbol, minute, prices, volume in blocks(rows):
            seconds = pc.add(pc.multiply(minute, 60), FIRST_MINUTE)
            ts = pc.multiply(seconds, 1_000_000).cast(instant)
            doubles = [pc.divide(price.cast(pa.float64()), 10_000.0) for price in prices]
            interval = pa.array(["1m"] * len(minute))
            columns = [symbols_of(symbol), interval, ts, *doubles, volume.cast(pa.float64())]
            writer.write_table(pa.table(columns, schema=schema))
            total += pc.sum(prices[3]).as_py()
    return total
