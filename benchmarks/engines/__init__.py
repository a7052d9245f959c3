"""Other engines of durable execution, as `python -m benchmarks.others` starts them. Each runs what is installed in a folder of its own."""
