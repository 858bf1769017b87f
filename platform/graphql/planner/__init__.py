"""The query planner: a validated operation becomes one SQL statement per root field, whose JSON goes out unread.

`declare` says how a type's fields map to SQL, `types` declares ours, `select` picks what an operation asks for, `compile`
writes the statement, `run` answers. docs/planner.md follows one query through them. Whatever the planner does not know, or
finds wrong in the input, it leaves to the ordinary executor.
"""
