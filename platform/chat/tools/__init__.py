"""What the assistant can do: look things up at its shop, hold and book a time, and fetch a person."""
