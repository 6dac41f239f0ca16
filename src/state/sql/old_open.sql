-- Jobs of format 3 or older that have not ended.
SELECT name, format FROM pgrecast.job WHERE ended_at IS NULL ORDER BY id
