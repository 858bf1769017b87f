"""How a franchise does: leads, contacts, answers and bookings of a period."""
