-- What became of request $1.
SELECT r.outcome, r.ended_at IS NOT NULL AS ended, r.taken_at IS NOT NULL AS taken, r.exit_status, r.message, r.detail, r.hint,
       r.result, j.ended_at IS NOT NULL AS job_ended
FROM pgrecast.request AS r JOIN pgrecast.job AS j ON j.id = r.job_id
WHERE r.id = $1
