SELECT json_build_object('locations', (
  SELECT json_build_object('edges', coalesce(json_agg(row_to_json(e)), '[]'::json)) FROM (
    SELECT (SELECT row_to_json(n) FROM (
      SELECT 'loc_' || l.id AS id, l.name, l.slug, l.timezone, l.phone, l.address, l.bays, l.buffer_minutes AS "bufferMinutes"
      ) n) AS node
    FROM (SELECT * FROM locations WHERE tenant_id = s.tenant::uuid ORDER BY name, id LIMIT 50) l) e))
FROM (SELECT set_config('app.tenant_id', $1, true) AS tenant, set_config('app.location_ids', $2, true),
  set_config('app.subject', $3, true) OFFSET 0) s
