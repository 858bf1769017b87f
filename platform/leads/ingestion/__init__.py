"""How orders of the CRM become leads: the inbox of webhooks, the criteria, the poll that backs them up."""
