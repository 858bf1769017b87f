"""People's accounts: signing in and staying so, second factors, invitations and forgotten passwords, and who may do what to whom."""
