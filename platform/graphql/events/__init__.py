"""Live events: one reader a process, groups of subscribers with equal rights and documents, sockets that come and go.

`wake` says that something was committed, `tail` reads once a tenant what it was, `group` reads and serialises an event once
for all subscribers that may see the same, `groups` are those of one tenant or conversation, `hub` and `rooms` hold them
together, `operation` is what was subscribed to, `socket` speaks graphql-transport-ws. docs/subscriptions.md has the protocol.
Redis only wakes: what was missed is in Postgres.
"""
