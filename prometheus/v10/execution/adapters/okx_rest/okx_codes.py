"""The exchange's error codes and what each proves: one table, by what is to be done.

Codes that are not here prove nothing: for an order they are an unknown outcome, for a read no answer.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Reaction(StrEnum):
    """What a code asks for.

    ``refused``: proved, nothing was done. ``later``: refused, and the same may be tried later (limits, clock).
    ``query``: the outcome is unknown. ``halt``: refused, and no order may follow without an operator.
    ``config``: refused; keys, modes, parameters or settings are wrong. ``absent``: the order is not known there.
    """

    REFUSED = "refused"
    LATER = "later"
    QUERY = "query"
    HALT = "halt"
    CONFIG = "config"
    ABSENT = "absent"


def _span(first: int, last: int) -> list[str]:
    return [str(code) for code in range(first, last + 1)]


_BY_REACTION: Final[dict[Reaction, list[str]]] = {
    Reaction.REFUSED: [
        "51004", "51005", "51006", "51007", "51008", "51020", "51023", "51025", "51031", "51101", *_span(51102, 51106),
        "51108", "51112", "51115", "51116", "51119", "51120", "51121", "51122", "51127", "51131", "51134",
        *_span(51135, 51138), "51148", "51169", "51170", "51171", "51174", "51185", "51186", "51187", "51201", "51202",
        "51203", "51207", "51400", "51401", "51402", "51405", "51410", "51412", "51503", "51509", "51510", "51511",
        "54094",
    ],
    Reaction.LATER: [
        "50011", "50023", "50036", "50037", "50040", "50061", "50102", "51029", "51030", "51110", "51113", "51124",
        "51196", "51513",
    ],
    Reaction.QUERY: [
        "50001", "50004", "50013", "50026", "50042", "50071", "51011", "51016", "51054", "51149",
    ],
    Reaction.HALT: [
        "50007", "50008", "50009", "50012", *_span(50017, 50022), *_span(50027, 50030), "50032", "50033", "50046",
        "50051", "50052", "50059", "50060", "50062", "50067", "50100", "51009", "51021", "51022", "51024", "51027",
        "51028", "51037", "51038", "51043", "51087", "51155", "51734",
    ],
    Reaction.CONFIG: [
        "50000", "50002", "50005", "50006", "50014", "50015", "50016", "50024", "50025", "50035", "50038", "50039",
        "50044", "50053", "50101", *_span(50103, 50115), "50119", "50120", "51000", "51001", "51002", "51003", "51010",
        "51012", "51014", "51015", "51026", *_span(51046, 51053), "51071", "51100", "51111", *_span(51277, 51280),
        "51333", "51407", "51501", *_span(54000, 54008), "54072", "59000", "59101", "59102", "59103", "59104", "59105",
        "59107", "59108", "59109", "59112",
    ],
    Reaction.ABSENT: ["51600", "51601", "51602", "51603"],
}  # fmt: skip
REACTIONS: Final[dict[str, Reaction]] = {code: reaction for reaction, codes in _BY_REACTION.items() for code in codes}
