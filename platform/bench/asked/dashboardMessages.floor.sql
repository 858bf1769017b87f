SELECT json_build_object('leads', (
  SELECT json_build_object('edges', coalesce(json_agg(row_to_json(e)), '[]'::json)) FROM (
    SELECT (SELECT row_to_json(n) FROM (
      SELECT 'lead_' || l.id AS id, l.first_name AS "firstName", l.last_name AS "lastName", l.status, l.phone,
        l.created_at AS "createdAt",
        (SELECT row_to_json(p) FROM (SELECT 'loc_' || place.id AS id, place.name) p) AS location,
        (SELECT json_build_object('edges', coalesce(json_agg(row_to_json(f)), '[]'::json)) FROM (
          SELECT (SELECT row_to_json(o) FROM (
            SELECT 'msg_' || m.id AS id, m.kind, m.channel, m.status, m.body, m.sent_at AS "sentAt") o) AS node
          FROM (SELECT id, kind, channel, status, body, sent_at FROM scheduled_messages
            WHERE tenant_id = l.tenant_id AND lead_id = l.id ORDER BY created_at DESC, id DESC LIMIT 3) m) f) AS messages
      ) n) AS node
    FROM (SELECT * FROM leads WHERE tenant_id = s.tenant::uuid ORDER BY created_at DESC, id DESC LIMIT 50) l
      JOIN locations place ON place.tenant_id = l.tenant_id AND place.id = l.location_id
    ORDER BY l.created_at DESC, l.id DESC) e))
FROM (SELECT set_config('app.tenant_id', $1, true) AS tenant, set_config('app.location_ids', $2, true),
  set_config('app.subject', $3, true) OFFSET 0) s
