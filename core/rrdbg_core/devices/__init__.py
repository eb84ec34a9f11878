"""The device contract and one file per device."""
