"""Ablations: which feature channels an experiment reads as zero (contracts, section 3).

The mask is part of the experiment's config; the core multiplies by it and knows no names.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from prometheus.v10.core import features

E, I, M, C = (  # noqa: E741  (the channels' own names)
    range(features.E_FIRST, features.I_FIRST),
    range(features.I_FIRST, features.M_FIRST),
    range(features.M_FIRST, features.C_FIRST),
    range(features.C_FIRST, len(features.NAMES)),
)
I1, I2, I3, I4 = I


def _all_but(*live: int) -> tuple[int, ...]:
    return tuple(channel for channel in I if channel not in live)


ABLATIONS: dict[str, tuple[str, tuple[int, ...]]] = {
    "none": ("all 33 channels are live", ()),
    "M_zeroed": ("M1-M12 read 0", tuple(M)),
    "C_zeroed": ("C1-C5 read 0", tuple(C)),
    "I_zeroed": ("I1-I4 read 0", tuple(I)),
    "E_ob_only": ("E1-E5 are live, E6-E12 read 0", tuple(E)[5:]),
    "I_min_13": ("of I only I1 and I3 are live", _all_but(I1, I3)),
    "I_min_123": ("of I only I1, I2 and I3 are live", _all_but(I1, I2, I3)),
    "I_min_134": ("of I only I1, I3 and I4 are live", _all_but(I1, I3, I4)),
}
"""Name to a sentence for the manifest, and the channels that read 0."""


def mask(name: str) -> npt.NDArray[np.float32]:
    """The core's mask for an ablation, float32[33] of 0 and 1.

    Raises:
        KeyError: for a name that is none.
    """
    live = np.ones(len(features.NAMES), dtype=np.float32)
    live[list(ABLATIONS[name][1])] = 0.0
    return live
