"""A differential fuzzer: answers of real servers are compared with the truth of a made world."""
