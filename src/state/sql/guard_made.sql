-- Enter the oid of the guard on table $5 (an oid) in the ledger, in the transaction that makes it, under the name $4 of the
-- table. $3: the name of the table that had the guard before; the same name for the first one. $2: the instance.
WITH mine AS (SELECT id FROM pgrecast.job WHERE id = $1 AND instance = $2 FOR NO KEY UPDATE)
UPDATE pgrecast.object AS o
SET name = $4,
    oid = (SELECT t.oid FROM pg_catalog.pg_trigger AS t WHERE t.tgrelid = $5 AND t.tgname = 'pgrecast_guard')
FROM mine WHERE o.job_id = mine.id AND o.kind = 'guard' AND o.name = $3
