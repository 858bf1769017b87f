"""What comes in: customers' messages, and what became of ours."""
