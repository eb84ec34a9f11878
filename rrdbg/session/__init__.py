"""The debugger: one object with every verb."""
