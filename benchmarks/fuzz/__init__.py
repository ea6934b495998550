"""A differential fuzzer: every answer of real servers is compared with the truth of a made world."""
