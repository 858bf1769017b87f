SELECT json_build_object('lead', (
  SELECT row_to_json(n) FROM (
    SELECT 'lead_' || l.id AS id, l.first_name AS "firstName", l.last_name AS "lastName", l.email, l.phone, l.status, l.source,
      l.created_at AS "createdAt", l.last_activity_at AS "lastActivityAt", l.touches_sent AS "touchesSent",
      (SELECT row_to_json(p) FROM (SELECT 'loc_' || place.id AS id, place.name, place.timezone) p) AS location
    FROM leads l JOIN locations place ON place.tenant_id = l.tenant_id AND place.id = l.location_id
    WHERE l.tenant_id = s.tenant::uuid AND l.id = $4) n))
FROM (SELECT set_config('app.tenant_id', $1, true) AS tenant, set_config('app.location_ids', $2, true),
  set_config('app.subject', $3, true) OFFSET 0) s
