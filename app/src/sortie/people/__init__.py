"""Users, their passwords, sessions and tokens, and what was done by whom."""
