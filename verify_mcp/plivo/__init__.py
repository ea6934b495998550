"""The Plivo API, asked at the pace that the account's rate limit allows."""
