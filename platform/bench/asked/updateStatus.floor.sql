SELECT json_build_object('updated', bench.answer_lead_status($1, $2, $3, $4, $5)::json)
