-- title: First- and last-touch attribution
-- group: acquisition
-- definition: Orders and revenue of the period by the channel that the buyer touched first, and by the one touched last,
--   within the days before the payment.
-- formula: a touch is an event with a channel, at or before the payment and at most `lookback` days before it. Each
--   payment gives its whole amount to the channel of the first touch, and of the last
-- grain: one row a channel; (none) for payments without a touch
-- parameters:
--   from Date = today - 29: first day of payments, inclusive
--   to Date = today: last day, inclusive
--   lookback UInt16 = 30: days before the payment in which touches count
-- example: SELECT * FROM attribution(from = '2026-11-01', to = '2026-11-30', lookback = 30)
-- mistakes: Refunds are not taken off: they belong to other days. First touch favours what brings people, last touch what
--   is at hand when they buy; neither says what would have happened without the channel (experiments do).
-- chart: bar x=channel y=first_revenue,last_revenue
WITH
    paid AS
    (
        SELECT person, groupArray((ts, amount)) AS payments
        FROM payments
        WHERE day BETWEEN {from:Date} AND {to:Date} AND toDate(ts) BETWEEN {from:Date} - 1 AND {to:Date} + 1
        GROUP BY person
    ),
    touched AS
    (
        SELECT person, arraySort(groupArray((ts, channel))) AS touches
        FROM activity
        WHERE channel != '' AND person IN (SELECT person FROM paid)
            AND toDate(ts) BETWEEN {from:Date} - {lookback:UInt16} - 1 AND {to:Date} + 1
        GROUP BY person
    )
SELECT
    channel,
    countIf(model = 'first') AS first_orders,
    sumIf(amount, model = 'first') AS first_revenue,
    countIf(model = 'last') AS last_orders,
    sumIf(amount, model = 'last') AS last_revenue
FROM
(
    SELECT
        arrayJoin(payments) AS payment,
        payment.2 AS amount,
        payment.1 - toIntervalDay({lookback:UInt16}) AS since,
        arrayFirst(t -> t.1 >= since, touches) AS earliest,
        arrayLast(t -> t.1 <= payment.1, touches) AS latest,
        arrayJoin([('first', earliest), ('last', latest)]) AS credit,
        credit.1 AS model,
        if(credit.2.2 != '' AND credit.2.1 BETWEEN since AND payment.1, toString(credit.2.2), '(none)') AS channel
    FROM paid
    LEFT JOIN touched ON touched.person = paid.person
)
GROUP BY channel
ORDER BY first_revenue + last_revenue DESC, channel
