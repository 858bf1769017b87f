"""What the platform's administrators do: onboard franchises, connect, limit, suspend and support them."""
