"""The documented error codes of messages, in words.

Sources: the page "Error codes" of Plivo's messaging reference (10 to 200, 300 to 420, 900 to 1000),
"Geo permissions" (450, 451) and the support page on Fraud Shield (452). Code 201 has no entry: two
of Plivo's pages give it different meanings.
"""

MESSAGE_ERRORS = {
    "10": "invalid message: refused by a carrier",
    "20": "network error at the carrier; temporary",
    "30": "taken for spam by a carrier",
    "40": "invalid source number",
    "50": "invalid destination number",
    "60": "loop detected",
    "70": "destination permanently unavailable",
    "80": "destination temporarily unavailable",
    "90": "no route available",
    "100": "prohibited by the carrier",
    "110": "message too long",
    "200": "source blocked by STOP from the destination",
    "300": "failed to dispatch",
    "420": "expired in the queue",
    "450": "destination country barred by geo permissions",
    "451": "geo permissions' hourly threshold exceeded",
    "452": "blocked by Fraud Shield as potential SMS pumping",
    "900": "insufficient credit",
    "910": "account disabled",
    "1000": "unknown error",
}
