-- payments and refunds together: amount is negative in refunds, kind says which
SELECT *, 'payment' AS kind FROM payments
UNION ALL
SELECT *, 'refund' AS kind FROM refunds
