-- Enter how table $3 of job $1 is defined, as the program has left it. $2: the instance. The active table: $4 (fingerprint)
-- and $5; the inactive one: $6 and $7. $8 and $9: those of the original before the first swap; null: as they are.
WITH mine AS (SELECT j.id FROM pgrecast.job AS j WHERE j.id = $1 AND j.instance = $2 FOR NO KEY UPDATE)
UPDATE pgrecast.job_table AS t
SET active_fingerprint = $4, active_definition = $5, other_fingerprint = $6, other_definition = $7,
    fingerprint = coalesce($8, t.fingerprint), definition = coalesce($9, t.definition)
FROM mine
WHERE t.job_id = mine.id AND t.number = $3
