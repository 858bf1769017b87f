"""The assistant: it answers customers by a model or, without one, by rules, with the same tools and under the same guard."""
