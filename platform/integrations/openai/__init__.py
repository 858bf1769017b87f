"""OpenAI's chat completions, and whatever speaks their protocol."""
