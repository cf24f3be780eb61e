-- What the ledger has left open.
SELECT (SELECT count(*) FROM tidegate.load WHERE sealed_at IS NULL) AS unsealed,
       (SELECT count(*) FROM tidegate.reject WHERE resolved_at IS NULL) AS open_rejects
