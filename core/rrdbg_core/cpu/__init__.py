"""The guest CPU: state layout, decode, interpreters, memory."""
