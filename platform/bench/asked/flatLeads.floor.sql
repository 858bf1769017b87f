SELECT json_build_object('leads', (
  SELECT json_build_object('edges', coalesce(json_agg(row_to_json(e)), '[]'::json)) FROM (
    SELECT (SELECT row_to_json(n) FROM (
      SELECT 'lead_' || l.id AS id, l.first_name AS "firstName", l.last_name AS "lastName", l.email, l.phone, l.status, l.source,
        l.created_at AS "createdAt") n) AS node
    FROM (SELECT * FROM leads WHERE tenant_id = s.tenant::uuid ORDER BY created_at DESC, id DESC LIMIT 100) l) e))
FROM (SELECT set_config('app.tenant_id', $1, true) AS tenant, set_config('app.location_ids', $2, true),
  set_config('app.subject', $3, true) OFFSET 0) s
