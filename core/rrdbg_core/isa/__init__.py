"""What RISC-V says: encodings, semantics, CSRs."""
