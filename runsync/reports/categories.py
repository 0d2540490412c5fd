"""Text in frames: which dtype it has, and how it is kept small."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

TEXT = pd.Series(["text"]).dtype
"""What this pandas makes of text: ``str`` from version 3 on, before it ``object``."""


def categorical(
    codes: npt.NDArray[np.integer[Any]], words: Sequence[str], *, ordered: bool = False
) -> "pd.Categorical[str]":
    """Text by the place of each row's word in ``words``; -1 is missing."""
    categories: pd.Index[str] = pd.Index(pd.Series(list(words), dtype=TEXT))
    return pd.Categorical.from_codes(codes, categories=categories, ordered=ordered)
