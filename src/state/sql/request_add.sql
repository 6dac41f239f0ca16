-- Ask job $1 for something by a request: $2 kind, $3 arguments.
INSERT INTO pgrecast.request (job_id, kind, arguments, requested_by) VALUES ($1, $2, $3, current_user) RETURNING id
