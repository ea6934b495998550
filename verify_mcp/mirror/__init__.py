"""The local copy of the account's sessions."""
