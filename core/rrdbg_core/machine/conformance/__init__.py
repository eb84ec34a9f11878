"""The conformance kit: does a device keep the device contract? `run.check_device` is its door."""
