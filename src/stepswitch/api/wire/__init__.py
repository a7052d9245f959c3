"""JSON to values and values to JSON: `bodies` and `requests` read, `documents` and `answers` write, `models` describes both."""
