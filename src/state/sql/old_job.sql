-- A job of format 3 or older, by its name $1.
SELECT id, format, swapped_at IS NOT NULL AS swapped, ended_at IS NOT NULL AS ended FROM pgrecast.job WHERE name = $1
