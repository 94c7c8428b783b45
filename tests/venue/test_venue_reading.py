"""Section 2: key sets, candles, book, paging and retention of what is read."""

from __future__ import annotations

from decimal import Decimal

import pytest

from prometheus.v10.market.synthetic import synthetic
from tests.venue.desk import BTC, bars, desk, flat

KEYS = {
    "public/instruments": (
        "instId instType instIdCode instFamily uly groupId ctType ctVal ctMult ctValCcy settleCcy lever "
        "tickSz lotSz minSz maxLmtSz maxMktSz maxLmtAmt maxTwapSz maxIcebergSz maxTriggerSz maxStopSz state "
        "ruleType listTime expTime futureSettlement initPxLmtPct floatPxLmtPct maxPxLmtPct instCategory "
        "upcChg alias auctionEndTime baseCcy category contTdSwTime maxMktAmt openType optType quoteCcy stk "
        "tradeQuoteCcyList preMktSwTime posLmtAmt posLmtPct maxPlatOILmt"
    ),
    "public/price-limit": ("instId buyLmt sellLmt ts enabled"),
    "public/mark-price": ("instId markPx ts instType"),
    "public/funding-rate": (
        "fundingRate fundingTime nextFundingTime settFundingRate settState minFundingRate maxFundingRate "
        "interestRate impactValue premium method formulaType nextFundingRate ts instId instType"
    ),
    "public/position-tiers": (
        "tier minSz maxSz imr mmr maxLever optMgnFactor uly instFamily instId quoteMaxLoan baseMaxLoan"
    ),
    "market/books": ("asks bids ts seqId"),
    "market/ticker": (
        "last lastSz askPx askSz bidPx bidSz open24h high24h low24h volCcy24h vol24h sodUtc0 sodUtc8 ts instId instType"
    ),
    "account/config": (
        "uid mainUid acctLv acctStpMode posMode feeType level perm ip type ctIsoMode mgnIsoMode settleCcy "
        "settleCcyList label kycLv opAuth stgyType autoLoan greeksType levelTmp liquidationGear roleType "
        "spotOffsetType spotRoleType spotTraderInsts traderInsts enableSpotBorrow spotBorrowAutoRepay"
    ),
    "account/balance": (
        "totalEq isoEq adjEq ordFroz imr mmr mgnRatio notionalUsd upl uTime details borrowFroz "
        "notionalUsdForBorrow notionalUsdForFutures notionalUsdForOption notionalUsdForSwap"
    ),
    "account/positions": (
        "instId posSide pos posId mgnMode avgPx markPx liqPx lever margin imr mmr mgnRatio upl uplRatio "
        "uplLastPx notionalUsd adl tradeId realizedPnl pnl fee fundingFee liqPenalty last idxPx bePx ccy "
        "closeOrderAlgo cTime uTime instType baseBal interest availPos optVal pendingCloseOrdLiabVal posCcy "
        "quoteBal quoteBorrowed quoteInterest spotInUseAmt spotInUseCcy usdPx uplRatioLastPx"
    ),
    "account/positions-history": (
        "type openAvgPx closeAvgPx closeTotalPos realizedPnl fee fundingFee liqPenalty triggerPx instId "
        "instType mgnMode posId posSide lever direction cTime uTime pnl pnlRatio openMaxPos uly ccy"
    ),
    "account/leverage-info": ("lever mgnMode instId posSide"),
    "account/trade-fee": (
        "level ruleType ts feeGroup taker maker takerU makerU takerUSDC makerUSDC category delivery exercise "
        "fiat instType"
    ),
    "account/max-size": ("maxBuy maxSell instId"),
    "account/bills": (
        "billId type subType ts balChg bal posBalChg posBal sz px ccy pnl fee mgnMode instId ordId execType "
        "clOrdId tradeId tag fillTime interest notes from to instType"
    ),
    "trade/order": (
        "instType instId ordId clOrdId tag px sz ordType side posSide tdMode lever state accFillSz avgPx "
        "fillPx fillSz fillTime tradeId fee feeCcy rebate rebateCcy pnl source category reduceOnly "
        "cancelSource cancelSourceReason stpMode stpId algoId algoClOrdId attachAlgoOrds linkedAlgoOrd "
        "isTpLimit ccy quickMgnType tgtCcy tradeQuoteCcy pxType pxUsd pxVol tpTriggerPx tpTriggerPxType "
        "tpOrdPx slTriggerPx slTriggerPxType slOrdPx attachAlgoClOrdId cTime uTime"
    ),
    "trade/fills": (
        "instId tradeId ordId clOrdId billId subType tag fillPx fillSz fillPnl fillIdxPx fillMarkPx side "
        "posSide execType feeCcy fee ts fillTime instType"
    ),
    "trade/account-rate-limit": ("accRateLimit nextAccRateLimit fillRatio mainFillRatio ts"),
}
DETAILS = (
    "ccy eq cashBal availBal availEq frozenBal ordFrozen upl isoEq isoUpl disEq eqUsd liab crossLiab "
    "isoLiab interest borrowFroz twap maxLoan mgnRatio imr mmr notionalLever stgyEq fixedBal uTime "
    "smtSyncEq spotCopyTradingEq rewardBal spotInUseAmt clSpotInUseAmt maxSpotInUseAmt spotIsoBal uplLiab "
    "spotBal openAvgPx accAvgPx spotUpl spotUplRatio totalPnl totalPnlRatio collateralEnabled"
)
QUERIES = {
    "public/instruments": {"instType": "SWAP"}, "public/price-limit": {"instId": BTC},
    "public/mark-price": {"instType": "SWAP"}, "public/funding-rate": {"instId": BTC},
    "public/position-tiers": {"instType": "SWAP", "tdMode": "cross"}, "market/books": {"instId": BTC},
    "market/ticker": {"instId": BTC}, "account/leverage-info": {"instId": BTC, "mgnMode": "cross"},
    "account/trade-fee": {"instType": "SWAP"}, "account/max-size": {"instId": BTC, "tdMode": "cross"},
}  # fmt: skip


@pytest.fixture
def one():
    return desk()


@pytest.fixture
def traded(one):
    client = one.client()
    client.placed("buy", "5", clOrdId="a")
    client.placed("sell", "2")
    return client


@pytest.mark.parametrize("path", KEYS)
def test_every_key_of_the_reference_is_there(traded, path):
    query = {"instId": BTC, "clOrdId": "a"} if path == "trade/order" else QUERIES.get(path, {})
    row = traded.rows(path, **query)[0]
    assert set(KEYS[path].split()) - row.keys() == set()


def test_every_key_of_a_balance_detail_is_there(traded):
    assert set(DETAILS.split()) - traded.rows("account/balance")[0]["details"][0].keys() == set()


def test_a_currency_without_money_is_left_out():
    client = desk(deposit=0).client()
    (row,) = client.rows("account/balance")
    assert (row["details"], row["totalEq"]) == ([], "0")


def test_what_does_not_apply_to_the_account_mode_is_empty(traded):
    (row,) = traded.rows("account/balance")
    assert {row[name] for name in ("adjEq", "imr", "mmr", "mgnRatio", "notionalUsd", "ordFroz", "borrowFroz")} == {""}
    assert {row["details"][0][name] for name in ("liab", "crossLiab", "interest", "maxLoan", "borrowFroz")} == {""}


@pytest.mark.parametrize("kind", ["SPOT", "MARGIN", "FUTURES", "OPTION"])
def test_instruments_of_other_types_are_an_empty_list(one, kind):
    assert one.client().rows("public/instruments", instType=kind) == []


def test_price_limits_are_empty_texts_while_they_do_not_hold(one):
    one.inject("market.limits_off")
    (row,) = one.client().rows("public/price-limit", instId=BTC)
    assert (row["buyLmt"], row["sellLmt"], row["enabled"]) == ("", "", False)
    assert one.client().placed("buy", "1", "60000")


def test_funding_of_any_instrument(one):
    assert [row["instId"] for row in one.client().rows("public/funding-rate", instId="ANY")] == [BTC]


def test_tiers_are_in_contracts_and_the_first_is_the_recorded_one(one):
    first = one.client().rows("public/position-tiers", instType="SWAP", tdMode="isolated", instFamily="BTC-USDT")[0]
    assert (first["tier"], first["minSz"], first["maxSz"], first["imr"], first["mmr"], first["maxLever"]) == (
        "1", "0", "1000", "0.01", "0.004", "100")  # fmt: skip


# ---- candles ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def day():
    """A day of a synthetic market that was played for an hour and a half."""
    made = desk(synthetic(3, 3000, 60), warm_up=1440)
    made.pass_time(90 * 60 + 20)
    return made


def test_candles_are_the_bars_that_were_recorded(day):
    recorded = day.world.plan.bars[0]
    rows = day.client().rows("market/candles", instId=BTC, limit=300)
    assert len(rows) == 300
    for row in rows[1:]:
        at = int(row[0]) // 1000 - recorded.first_open
        bar = [getattr(recorded, name)[at // 60] for name in ("open", "high", "low", "close")]
        assert [Decimal(text) for text in row[1:5]] == [Decimal(str(round(value, 1))) for value in bar]
        assert Decimal(row[6]) == Decimal(str(round(recorded.volume[at // 60], 4)))
        assert Decimal(row[5]) == Decimal(row[6]) * 100
        assert row[8] == "1"


def test_the_newest_candle_is_forming(day):
    newest, before = day.client().rows("market/candles", instId=BTC, limit=2)
    assert (newest[8], before[8]) == ("0", "1")
    assert int(newest[0]) == day.world.now // 60_000 * 60_000
    assert len(newest) == 9
    assert all(isinstance(text, str) for text in newest)


def test_a_bar_without_trades_repeats_the_previous_close():
    one = desk(bars([(50_000,) * 4 + (6.0,)] * 3 + [(50_000, 50_010, 49_990, 50_005, 6.0)]))
    one.pass_time(600)
    row = one.client().rows("market/candles", instId=BTC)[3]
    assert row[1:6] == ["50005", "50005", "50005", "50005", "0"]


@pytest.mark.parametrize(("bar", "length"), [("5m", 300), ("1H", 3600), ("4H", 14_400)])
def test_longer_candles_are_made_of_minutes(day, bar, length):
    client = day.client()
    row = client.rows("market/candles", instId=BTC, bar=bar, limit=2)[1]
    minutes = []
    before = int(row[0]) + length * 1000
    while len(minutes) < length // 60:
        minutes += client.rows("market/candles", instId=BTC, after=before, limit=min(300, length // 60))
        before = int(minutes[-1][0])
    minutes = minutes[: length // 60]
    assert row[1] == minutes[-1][1]
    assert row[4] == minutes[0][4]
    assert Decimal(row[2]) == max(Decimal(minute[2]) for minute in minutes)
    assert Decimal(row[3]) == min(Decimal(minute[3]) for minute in minutes)
    assert Decimal(row[5]) == sum(Decimal(minute[5]) for minute in minutes)


def test_six_hours_and_longer_need_utc_for_utc_boundaries(day):
    client = day.client()
    utc, hong_kong = (int(client.rows("market/candles", instId=BTC, bar=bar)[0][0]) for bar in ("1Dutc", "1D"))
    assert utc % 86_400_000 == 0
    assert hong_kong % 86_400_000 == 16 * 3_600_000


def test_history_candles_are_complete_ones_by_a_hundred(day):
    rows = day.client().rows("market/history-candles", instId=BTC, limit=300)
    assert {row[8] for row in rows} == {"1"}
    assert len(rows) <= 100


def test_candles_reach_back_1440_and_history_goes_on(day):
    client = day.client()
    count, cursor = 0, {}
    while rows := client.rows("market/candles", instId=BTC, limit=300, **cursor):
        count, cursor = count + len(rows), {"after": rows[-1][0]}
    assert count == 1440
    assert client.rows("market/history-candles", instId=BTC, **cursor)


def test_mark_candles_have_six_fields(day):
    rows = day.client().rows("market/mark-price-candles", instId=BTC)
    assert {len(row) for row in rows} == {6}
    assert [row[5] for row in rows[:2]] == ["0", "1"]


# ---- the book --------------------------------------------------------------------------------------------------------


def test_the_book_has_four_hundred_levels_in_order(day):
    (row,) = day.client().rows("market/books", instId=BTC, sz=400)
    bids, asks = ([Decimal(level[0]) for level in row[side]] for side in ("bids", "asks"))
    assert len(bids) == len(asks) == 400
    assert bids == sorted(bids, reverse=True)
    assert asks == sorted(asks)
    assert bids[0] < asks[0]
    assert all(level[2] == "0" and int(level[3]) >= 1 and Decimal(level[1]) > 0 for level in row["asks"])


def test_the_levels_of_the_array_are_those_of_each_price(day):
    depth = day.market.depth
    for side in (1, -1):
        depth.eat(side, depth.best(side), 10)
        for px, sz in depth.levels(side):
            assert depth.level(side, px) == sz


def test_a_resting_order_is_seen_in_the_book():
    one = desk().alone()
    one.client().placed("buy", "3", "49990")
    one.client("sub1").placed("buy", "2", "49990")
    assert one.client().rows("market/books", instId=BTC)[0]["bids"] == [["49990", "5", "0", "2"]]


def test_the_sequence_number_grows_with_the_book(one):
    seen = [one.client().rows("market/books", instId=BTC)[0]["seqId"]]
    one.client().placed("buy", "1", "49990")
    seen.append(one.client().rows("market/books", instId=BTC)[0]["seqId"])
    one.pass_time(1)
    seen.append(one.client().rows("market/books", instId=BTC)[0]["seqId"])
    assert seen == sorted(set(seen))


# ---- paging ----------------------------------------------------------------------------------------------------------


def filled(count, one):
    client = one.client()
    ids = []
    for _ in range(count):
        ids.append(client.placed("buy", "0.01"))
        one.pass_time(0.01)
    return client, ids


@pytest.mark.parametrize(("path", "key", "query"), [
    ("trade/orders-history", "ordId", {"instType": "SWAP"}), ("trade/fills", "billId", {}),
    ("account/bills", "billId", {"type": "2"}),
])  # fmt: skip
def test_a_walk_with_after_finds_everything_once_newest_first(one, path, key, query):
    client, ids = filled(25, one)
    seen, cursor = [], {}
    while rows := client.rows(path, limit=10, **query, **cursor):
        seen += rows
        cursor = {"after": rows[-1][key]}
    assert [row["ordId"] for row in seen] == ids[::-1]
    assert len({row[key] for row in seen}) == 25


def test_after_is_strictly_older_and_before_strictly_newer(one):
    client, ids = filled(5, one)
    query = {"instType": "SWAP"}
    assert [row["ordId"] for row in client.rows("trade/orders-history", **query, after=ids[2])] == [ids[1], ids[0]]
    assert [row["ordId"] for row in client.rows("trade/orders-history", **query, before=ids[2])] == [ids[4], ids[3]]


def test_before_alone_returns_the_newest_page(one):
    client, ids = filled(10, one)
    rows = client.rows("trade/orders-history", instType="SWAP", before=ids[0], limit=3)
    assert [row["ordId"] for row in rows] == ids[:-4:-1]


def test_a_page_has_at_most_a_hundred_rows(one):
    client, _ = filled(120, one)
    assert len(client.rows("trade/fills", limit=500)) == 100
    assert len(client.rows("trade/fills")) == 100


def test_begin_and_end_are_inclusive(one):
    client, _ = filled(5, one)
    times = sorted(int(row["ts"]) for row in client.rows("trade/fills"))
    assert len(client.rows("trade/fills", begin=times[1], end=times[3])) == 3


def test_pending_orders_are_live_or_partially_filled(one):
    client = one.client()
    placed = client.placed("buy", "1", "49000")
    client.placed("buy", "1")
    assert [row["ordId"] for row in client.rows("trade/orders-pending")] == [placed]
    assert client.rows("trade/orders-pending", ordType="post_only") == []
    assert client.get("trade/orders-pending", state="filled")["code"] == "51000"


# ---- retention -------------------------------------------------------------------------------------------------------

HOUR, DAY = 3600, 86_400


def after(one, seconds):
    """Let the clock jump without playing the market: retention looks at the clock alone."""
    one.world.next_step += seconds * 1000
    one.pass_time(seconds)


def test_a_cancelled_order_without_a_fill_is_kept_two_hours(one):
    client = one.client()
    placed = client.placed("buy", "1", "49000")
    client.post("trade/cancel-order", {"instId": BTC, "ordId": placed})
    after(one, 2 * HOUR - 2)
    assert client.state(placed)[0] == "canceled"
    assert len(client.rows("trade/orders-history", instType="SWAP")) == 1
    after(one, 4)
    assert client.get("trade/order", instId=BTC, ordId=placed)["code"] == "51603"
    assert client.rows("trade/orders-history", instType="SWAP") == []
    assert client.rows("trade/orders-history-archive", instType="SWAP") == []


@pytest.mark.parametrize(("path", "query", "days"), [
    ("trade/orders-history", {"instType": "SWAP"}, 7), ("trade/orders-history-archive", {"instType": "SWAP"}, 92),
    ("trade/fills", {}, 3), ("trade/fills-history", {"instType": "SWAP"}, 365), ("account/bills", {"type": "2"}, 7),
    ("account/bills-archive", {"type": "2"}, 92), ("account/positions-history", {}, 92),
])  # fmt: skip
def test_records_are_kept_as_long_as_the_table_says(one, path, query, days):
    client = one.client()
    client.placed("buy", "1")
    client.placed("sell", "1")
    after(one, days * DAY - 10)
    assert client.rows(path, **query)
    after(one, 20)
    assert client.rows(path, **query) == []


def test_a_cancelled_order_with_a_fill_is_kept_as_a_filled_one():
    one = desk().alone()
    client = one.client()
    one.client("other").placed("sell", "1", "50000")
    placed = client.placed("buy", "2", "50000", ordType="ioc")
    after(one, 3 * HOUR)
    assert client.state(placed) == ("canceled", "14")


def test_flat_markets_are_fine():
    assert desk(flat(3)).client().rows("market/ticker", instId=BTC)[0]["last"] == "50000"
