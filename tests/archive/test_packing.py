"""Which months share a file."""

from runsync.archive.packing import packed, stem


def test_the_pipelines_of_a_month_share_a_file_and_a_big_one_has_its_own() -> None:
    runs = {(1, "2024-05"): 10, (2, "2024-05"): 20_000, (3, "2024-05"): 19_999, (101, "2024-05"): 1}
    assert packed(runs) == {
        "2024-05-0": [(1, "2024-05"), (3, "2024-05")],
        "2024-05-p2": [(2, "2024-05")],
        "2024-05-1": [(101, "2024-05")],
    }


def test_a_small_year_is_one_file_once_it_is_over_for_a_month() -> None:
    runs = {(2, "2023-01"): 1, (1, "2023-12"): 1, (1, "2024-01"): 1}
    assert set(packed(runs)) == {"2023-01-0", "2023-12-0", "2024-01-0"}
    later = runs | {(1, "2024-02"): 1}
    assert packed(later)["2023"] == [(1, "2023-12"), (2, "2023-01")]
    assert set(packed(later)) == {"2023", "2024-01-0", "2024-02-0"}


def test_a_big_year_stays_in_months() -> None:
    runs = {(n, "2023-01"): 10_000 for n in range(6)} | {(1, "2025-01"): 1}
    assert set(packed(runs)) == {"2023-01-0", "2025-01-0"}


def test_few_files_for_many_months() -> None:
    runs = {
        (p, f"{y}-{m:02}"): 5 for p in range(20) for y in range(2015, 2025) for m in range(1, 13)
    }
    assert len(packed(runs)) == 9 + 12


def test_a_stem_says_what_is_in_the_file() -> None:
    one = stem("2023", "0004", [((1, "2023-01"), "v")])
    assert one.startswith("2023-")
    assert one == stem("2023", "0004", [((1, "2023-01"), "v")])
    others = [
        ("0005", [((1, "2023-01"), "v")]),
        ("0004", [((1, "2023-01"), "w")]),
        ("0004", [((2, "2023-01"), "v")]),
    ]
    assert one not in [stem("2023", revision, months) for revision, months in others]
