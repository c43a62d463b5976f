"""The loop, the shared passes, and the ledger of what made a number. Never looks up at the zoo."""
