SELECT json_build_object('services', (
  SELECT coalesce(json_agg(row_to_json(n)), '[]'::json) FROM (
    SELECT 'svc_' || id AS id, name, description, category, duration_minutes AS "durationMinutes", active,
      display_order AS "displayOrder"
    FROM service_catalog c
    WHERE tenant_id = s.tenant::uuid AND active AND (location_id = $4 OR location_id IS NULL AND lower(name) <> ALL (ARRAY(
      SELECT lower(own.name) FROM service_catalog own WHERE own.tenant_id = s.tenant::uuid AND own.location_id = $4)))
    ORDER BY display_order, name, c.id) n))
FROM (SELECT set_config('app.tenant_id', $1, true) AS tenant, set_config('app.location_ids', $2, true),
  set_config('app.subject', $3, true) OFFSET 0) s
