"""Made months in numbers, with planted events, against the detectors of anomalies."""
